"""One protocol for every change outside the app.

1. Read: does everything stand as wanted? Then nothing is written.
2. Permit: the kill switch, the mode, the window and the lease allow a write, and the row is saved.
3. Write.
4. Refused: repair what the refusal damaged; try another write, or explain the refusal.
5. Read back until the change is visible, or wait.
6. Not kept: a person has to look.

A step describes its change as an `Effect`, or as a single `Write` where the step reads back itself.
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


#: The refusal is no error: the step goes on without this write.
SKIP = _Mark.SKIP

type Refusal = PlatformError | NotFound
#: What to do after a refusal: another write, an error that says more, `SKIP`, or None: raise it.
type Reply = Write | CmkflowError | _Mark | None
type OnRefusal = Callable[[Refusal], Awaitable[Reply]]


async def raise_refusal(_: Refusal) -> Reply:
    """Raise the refusal as it is."""
    return None


async def skip_if_gone(refusal: Refusal) -> Reply:
    """Go on if the item that was to be changed does not exist any more."""
    return SKIP if isinstance(refusal, NotFound) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One call that changes something outside the app."""

    #: Returns if the write may begin now: `StepContext.permit_write`, or `StepContext.intend` where
    #: the row has to name the write first.
    permit: Callable[[], Awaitable[object]]
    #: Calls a port's write method. Nothing else does.
    call: Callable[[], Awaitable[object]]
    on_refusal: OnRefusal = raise_refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect[T]:
    """What is to stand outside the app. Several writes may share one read and one read-back."""

    #: Names the change to whoever waits until it is visible.
    title: str
    read: Callable[[], Awaitable[T]]
    #: Returns the writes that are missing in what was read; none if it stands as wanted. Must not
    #: raise: it also decides whether the read-back shows the change.
    missing: Callable[[T], Sequence[Write]]
    #: Explains a change that the platform accepted and did not keep. None: the step looks itself.
    not_kept: Callable[[T], JobBlocked] | None = None


async def apply[T](work: StepContext, effect: Effect[T], *, seen: T | _Mark = _Mark.UNREAD) -> T:
    """Make the change unless it stands, and return what was read last.

    `seen` is what was read just now; it saves a read. Raises what forbids a write now;
    `JobBlocked`, `PlatformError` or `NotFound`; `WriteNotVisible`; and whatever else the write
    raises, such as `Conflict`.
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
    """Perform one write, or what its `on_refusal` puts in its place. The caller reads back."""
    attempt: Write | None = write
    while attempt:
        await attempt.permit()
        attempt = await _call(attempt)


async def _call(write: Write) -> Write | None:
    """Call the port; return the write to try instead if this one is refused."""
    try:
        await write.call()
    except AlreadyExists:  # an earlier delivery, or one that runs beside this one, was first
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
    """Return the write with a reply to those refusals that it has no reply to itself."""

    async def both(refusal: Refusal) -> Reply:
        reply = await write.on_refusal(refusal)
        if isinstance(reply, Write):
            return with_fallback(reply, on_refusal)
        if isinstance(reply, PlatformError | NotFound):
            return await on_refusal(reply) or reply
        return await on_refusal(refusal) if reply is None else reply

    return replace(write, on_refusal=both)
