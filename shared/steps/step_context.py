"""Give a step its job's row and lease, the environment, and the checks before a write."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from shared.domain.callers.caller_records import CallerRecord
from shared.domain.environment import Environment, EnvironmentSettings
from shared.domain.jobs.dependent_jobs import parse_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.jobs.fenced_rows import FencedRows
from shared.jobs.leased_job import LeasedJob
from shared.steps import write_permission

#: How long a write and its reads may take: three requests (adapters/http/client.py).
WRITE_TAKES = timedelta(minutes=1)
#: How long an invocation uses what it has read.
LATELY = timedelta(seconds=10)


class StepContext:
    """What the steps of a flow job need in one invocation: the leased row, the environment and the
    services.
    """

    def __init__(self, held: LeasedJob[FlowJob], environment: Environment) -> None:
        """Use a row that this invocation has leased, and the environment as it is now."""
        self.held = held
        self.services = held.services
        self.environment = environment
        #: Trigger URLs that this invocation has read, by environment and flow. They are secrets and
        #: stored nowhere else.
        self.trigger_urls: dict[tuple[str, str], str] = {}
        #: Flows for which it granted the service account co-ownership, or a share; by environment
        #: and flow.
        self.made_co_owner: set[tuple[str, str]] = set()
        self.shared_with_operator: set[tuple[str, str]] = set()
        #: Recent reads, each with the time of the request.
        self._cache: dict[str, tuple[datetime, object]] = {}

    @property
    def job(self) -> FlowJob:
        """Return the row as last written, with the changes that were staged since."""
        return self.held.job

    @property
    def holder(self) -> str:
        """Return the name of the invocation as a holder of leases."""
        return f"{self.job.id}/{self.job.fencing_token}"

    @property
    def must_write_again(self) -> bool:
        """Return whether a flow has to be written although a read shows the wanted state.

        True in a rollback while an earlier invocation is not complete, because that invocation may
        still write older values.
        """
        return self.job.is_rolling_back and self.job.has_write_in_flight(self.services.now)

    async def save(self, job: FlowJob) -> FlowJob:
        """Write the row. Raises `LeaseLost` as `LeasedJob.save` does."""
        return await self.held.save(job)

    def stage(self, job: FlowJob) -> FlowJob:
        """Stage a change of the row for its next write, as `LeasedJob.stage` does."""
        return self.held.stage(job)

    @property
    def callers(self) -> FencedRows[CallerRecord]:
        return self.held.open_rows(self.services.tables.callers)

    async def require_write_allowed(self, *, anytime: bool = False) -> None:
        """Raise `MustWait`, `JobBlocked` or `LeaseLost` unless a write may be sent now.

        Staged changes are written before the lease is checked. `anytime`: what was started in the
        maintenance window may be completed after it. A flow that was on may always be turned on
        again.
        """
        await self._require_allowed_by_settings(anytime=anytime)
        await self.held.flush()
        await self.require_lease()

    async def save_intended_write(self, intended: Callable[[FlowJob], FlowJob]) -> None:
        """Save the row that `intended` returns, which records the intent of a write.

        Raises the errors of `write_permission.require_write_allowed` if the settings do not allow
        the write now.
        """
        await self._require_allowed_by_settings()
        await self.save(intended(self.job))

    async def _require_allowed_by_settings(self, *, anytime: bool = False) -> None:
        if not self.job.is_turning_back_on:
            anytime = anytime or self.job.both_off_since is not None
            settings = await self.read_settings()
            await write_permission.require_write_allowed(
                self.services, self.job.environment_id, anytime=anytime, settings=settings
            )

    async def read_settings(self) -> EnvironmentSettings:
        """Return the environment's settings, read within the last ten seconds. They do not include
        the kill switch.
        """
        read = partial(
            write_permission.read_environment_settings, self.services, self.job.environment_id
        )
        return await self.read_cached("settings", read)

    async def read_cached[T](self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        """Return what was read as `what` within the last ten seconds, or else read it.

        Use it only for what this invocation has not written since.
        """
        asked, known = self._cache.get(what, (None, None))
        if asked and self.services.now - asked <= LATELY:
            return cast("T", known)
        return await self.read_again(what, read)

    async def read_again[T](self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        """Read a value again, and cache it as `what`."""
        asked = self.services.now
        answer = await read()
        self._cache[what] = asked, answer
        return answer

    async def require_lease(self) -> None:
        """Renew the lease if a write may take longer. Raises `LeaseLost` if the lease is lost."""
        await self.held.ensure_lease(WRITE_TAKES)

    async def read_related_jobs(self, ids: Iterable[str]) -> list[FlowJob]:
        """Return the jobs that these references name. References without a job are omitted."""
        return await self._read_jobs(
            parse_job_reference(one, self.job.environment_id) for one in ids
        )

    async def read_ancestors(self) -> dict[str, FlowJob]:
        """Return the jobs of all flows that call this one, also indirectly, by id."""
        found: dict[str, FlowJob] = {}
        related = await self.read_related_jobs(self.job.parents)
        while related:
            found |= {one.id: one for one in related if one.id != self.job.id}
            above = [
                parse_job_reference(parent, one.environment_id)
                for one in related
                for parent in one.parents
            ]
            known = {*found, self.job.id}
            related = await self._read_jobs(
                place for place in dict.fromkeys(above) if place[1] not in known
            )
        return found

    async def _read_jobs(self, places: Iterable[tuple[str, str]]) -> list[FlowJob]:
        rows = [await self.services.tables.flow_jobs.get(*place) for place in places]
        return [kept.item for kept in rows if kept]
