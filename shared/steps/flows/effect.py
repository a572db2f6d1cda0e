"""Make a change outside the app by one protocol.

1. Read: if everything is as wanted, nothing is written. 2. Permit: the kill switch, the approval
policy, the maintenance window and the lease allow a write, and the row is saved. 3. Write. 4.
Error: fix what a rejected write damaged; then try another write, or explain the error. 5. Read back
until the change is visible, or wait. 6. Not kept: a person has to check it.

A step describes its change as an `Effect`, or as a single `Write` if it reads back itself.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from shared.errors import AlreadyExists, CmkflowError, JobBlocked, NotFound, PlatformError
from shared.steps.flows.read_back import read_back
from shared.steps.step_context import StepContext


class _Mark(Enum):
    UNREAD = "not read yet"
    SKIP = "go on without this write"


#: Continue without this write: the error does not matter.
SKIP = _Mark.SKIP

type Refusal = PlatformError | NotFound
#: What to do after an error: another write, a more specific error, `SKIP`, or None to raise it.
type Reply = Write | CmkflowError | _Mark | None
type OnRefusal = Callable[[Refusal], Awaitable[Reply]]


async def keep_error(_: Refusal) -> Reply:
    """Return None, so that `perform` raises the original error."""
    return None


async def skip_if_gone(refusal: Refusal) -> Reply:
    """Return `SKIP` if the item to change no longer exists, so that the work continues."""
    return SKIP if isinstance(refusal, NotFound) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One request that changes something outside the app."""

    #: Returns if the write may be sent now: `StepContext.require_write_allowed`, or
    #: `StepContext.save_intended_write` if the row has to record the write first.
    permit: Callable[[], Awaitable[object]]
    #: Calls a port's write method. Nothing else does.
    call: Callable[[], Awaitable[object]]
    on_refusal: OnRefusal = keep_error
    #: Returns when the flow service's budget has a request for it: a write itself does not wait,
    #: and the reads before it may have taken the last one. None: it is no request of that service.
    wait: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect[T]:
    """The wanted state of something outside the app.

    Several writes may share one read and one read-back.
    """

    #: Names the change in messages while it is not visible.
    title: str
    read: Callable[[], Awaitable[T]]
    #: Returns the writes that are missing after a read; none if everything is as wanted. Must not
    #: raise: it also decides whether the read-back shows the change.
    missing: Callable[[T], Sequence[Write]]
    #: Explains a change that the platform accepted and did not keep. None: the step checks itself.
    not_kept: Callable[[T], JobBlocked] | None = None


async def apply_effect[T](
    work: StepContext, effect: Effect[T], *, seen: T | _Mark = _Mark.UNREAD
) -> T:
    """Make the change unless it is there already. Return what was read last.

    `seen` is what was just read, which saves a read. Raises the errors of the writes,
    `WriteNotVisible`, and the error of `Effect.not_kept`.
    """
    before = await effect.read() if isinstance(seen, _Mark) else seen
    writes = effect.missing(before)
    for write in writes:
        await perform(write)
    if not writes:
        return before
    now = await read_back(work, effect.title, effect.read, lambda now: not effect.missing(now))
    if effect.not_kept and effect.missing(now):
        raise effect.not_kept(now)
    return now


async def perform(write: Write) -> None:
    """Send a write. If it is rejected, send the write that its error handler returns, if any.

    Does not read back.
    """
    attempt: Write | None = write
    while attempt:
        if attempt.wait:
            await attempt.wait()
        await attempt.permit()
        attempt = await _send_write(attempt)


async def _send_write(write: Write) -> Write | None:
    try:
        await write.call()
    except AlreadyExists:  # an earlier or parallel invocation has made it
        return None
    except (PlatformError, NotFound) as refusal:
        reply = await write.on_refusal(refusal)
        if isinstance(reply, CmkflowError):
            raise reply from refusal
        if reply is None:
            raise
        return reply if isinstance(reply, Write) else None
    return None


def with_fallback(write: Write, on_refusal: OnRefusal) -> Write:
    """Return the write with a second error handler for errors that the first does not handle."""

    async def call_both_handlers(refusal: Refusal) -> Reply:
        reply = await write.on_refusal(refusal)
        if isinstance(reply, Write):
            return with_fallback(reply, on_refusal)
        if isinstance(reply, PlatformError | NotFound):
            return await on_refusal(reply) or reply
        return await on_refusal(refusal) if reply is None else reply

    return replace(write, on_refusal=call_both_handlers)
