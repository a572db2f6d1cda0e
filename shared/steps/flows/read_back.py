"""Read back what was written.

A read may be older than a write for some time (platform.md#reads-lag). An invocation reads for some
seconds. Then its job waits, and the step starts again: it finds the change, or makes it again.
After the deadline, the step decides.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.jobs.unconfirmed_writes import UnconfirmedWrite
from shared.errors import MustWait, NotFound
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.lease_resource import LeaseHolder
from shared.steps.step_context import StepContext

_FIRST_PAUSE = timedelta(milliseconds=500)


class WriteNotVisible(MustWait):
    """An accepted write is not visible yet: the job waits, and nothing has failed."""

    def __init__(
        self, services: Services, what: str, *, since: datetime, until: datetime | None = None
    ) -> None:
        """Set the time of the next read: `until`, or else a delay that grows with the time since
        the write was sent.
        """
        #: Reads show it, but may have done so before it was sent.
        self.is_shown = until is not None
        until = until or services.now + compute_next_poll_delay(services, since)
        super().__init__(
            f"{what}: accepted, but not visible yet.", until=until, code=Reason.WRITE_NOT_VISIBLE
        )


async def read_back[T](
    work: StepContext, what: str, read: Callable[[], Awaitable[T]], shows: Callable[[T], bool]
) -> T:
    """Read an item until it shows a write, and return it.

    Raises `WriteNotVisible` if this invocation sees no sign of the write: a later one reads again.
    After the write's deadline, returns what was read last, or raises `NotFound`.
    """
    gone: NotFound | None = None
    found: T | None = None
    async for _ in iterate_read_attempts(work):
        try:
            found, gone = await read(), None
        except NotFound as err:
            gone = err
            continue
        if shows(found):
            return found
    await wait_until_visible(work, what)
    if gone:
        raise gone
    return found  # type: ignore[return-value]  # it yields at least once


async def iterate_read_attempts(holder: StepContext | LeaseHolder) -> AsyncIterator[None]:
    """Yield once for each read of an invocation or API request, first without a wait."""
    services, pause = holder.services, _FIRST_PAUSE
    until = services.now + services.settings.read_back_interval
    yield
    while services.now + pause <= until:
        await services.clock.sleep(pause)
        pause *= 2
        yield


async def wait_until_visible(work: StepContext, what: str) -> None:
    """Raise `WriteNotVisible` until the deadline, and return after it. The next call then begins a
    new deadline.
    """
    job, services = work.job, work.services
    is_new = job.unconfirmed_write is None or job.unconfirmed_write.description != what
    unseen = (
        UnconfirmedWrite(description=what, sent_at=services.now)
        if is_new
        else job.unconfirmed_write
    )
    assert unseen
    if services.now - unseen.sent_at >= services.settings.read_back_timeout:
        work.stage(replace(job, unconfirmed_write=None))
        return
    if is_new:
        work.stage(replace(job, unconfirmed_write=unseen))
    raise WriteNotVisible(services, what, since=unseen.sent_at)


def compute_next_poll_delay(services: Services, since: datetime) -> timedelta:
    """Return half of the time since the write, within the limits of the back-off."""
    settings, waited = services.settings, services.now - since
    return max(settings.backoff_initial_delay, min(waited / 2, settings.backoff_max_delay))
