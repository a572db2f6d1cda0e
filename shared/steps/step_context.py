"""A job in hand: its row, its lease, and what a step may do with it."""

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

#: How long a write may take, with the reads around it: three calls (adapters/http/client.py).
WRITE_TAKES = timedelta(minutes=1)
#: For so long a delivery goes by what it has read.
LATELY = timedelta(seconds=10)


class StepContext:
    """What the steps of a flow job are given."""

    def __init__(self, held: LeasedJob[FlowJob], environment: Environment) -> None:
        """Take a row that this delivery holds, and the environment as it is now."""
        self.held = held
        self.services = held.services
        self.environment = environment
        #: Trigger URLs that this delivery has read, by environment and flow: secrets, kept nowhere
        #: else.
        self.trigger_urls: dict[tuple[str, str], str] = {}
        #: Flows of which it has made the operator co-owner, and which it has shared with it,
        #: named likewise.
        self.made_co_owner: set[tuple[str, str]] = set()
        self.shared_with_operator: set[tuple[str, str]] = set()
        #: What it has read lately, and when it asked.
        self._lately: dict[str, tuple[datetime, object]] = {}

    @property
    def job(self) -> FlowJob:
        """Return the row as it was last written, with what was remembered since."""
        return self.held.job

    @property
    def holder(self) -> str:
        """Name the delivery, as a holder of resources: another of its job may be beside it."""
        return f"{self.job.id}/{self.job.fencing_token}"

    @property
    def writes_anew(self) -> bool:
        """Say whether a flow is written although it reads as it is to be.

        In a rollback beside a delivery that did not end: the row which that one has read, and may
        be about to write, is old then.
        """
        return self.job.is_rolling_back and self.job.has_write_in_flight(self.services.now)

    async def save(self, job: FlowJob) -> FlowJob:
        """Write the row; raises `LeaseLost` (see `LeasedJob.save`)."""
        return await self.held.save(job)

    def remember(self, job: FlowJob) -> FlowJob:
        """Have the row say so with its next write (see `LeasedJob.remember`)."""
        return self.held.stage(job)

    @property
    def callers(self) -> FencedRows[CallerRecord]:
        """Return the rows of the job's callers: one for each, with how far its change is."""
        return self.held.rows(self.services.tables.callers)

    async def check_write_allowed(self, *, anytime: bool = False) -> None:
        """Return if a write may begin now; else raise `Waiting`, `JobBlocked` or `LeaseLost`.

        By then the row says all that is known. `anytime`: what was begun in the maintenance window
        may be ended outside of it, above all a swap of which neither flow may be on. Its way back
        nothing stops: the flow was on.
        """
        await self._permit(anytime=anytime)
        await self.held.flush()
        await self.check_lease()

    async def stage_then_check_write(self, intended: Callable[[FlowJob], FlowJob]) -> None:
        """Do as `permit_write` does for a write that the row is to tell of before it begins.

        `intended` makes of the row what it is while the write is under way.
        """
        await self._permit()
        await self.save(intended(self.job))

    async def _permit(self, *, anytime: bool = False) -> None:
        if not self.job.is_turning_back_on:
            anytime = anytime or self.job.both_off_since is not None
            settings = await self.read_settings()
            await write_permission.check_write_allowed(
                self.services, self.job.environment_id, anytime=anytime, settings=settings
            )

    async def read_settings(self) -> EnvironmentSettings:
        """Return what an administrator has decided; the kill switch is not among it."""
        read = partial(write_permission.settings_of, self.services, self.job.environment_id)
        return await self.cached("settings", read)

    async def cached[T](self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        """Return what this delivery has read within ten seconds, else read it.

        Of what it has not written meanwhile.
        """
        asked, known = self._lately.get(what, (None, None))
        if asked and self.services.now - asked <= LATELY:
            return cast("T", known)
        return await self.refresh(what, read)

    async def refresh[T](self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        """Read it, whatever is known of it."""
        asked = self.services.now
        answer = await read()
        self._lately[what] = asked, answer
        return answer

    async def check_lease(self) -> None:
        """Return if a write may begin: the row is ours for as long as one takes.

        Raises `LeaseLost`.
        """
        await self.held.require_lease(WRITE_TAKES)

    async def related(self, ids: Iterable[str]) -> list[FlowJob]:
        """Return the jobs that this one names so; those that are gone are left out."""
        return await self._at(parse_job_reference(one, self.job.environment_id) for one in ids)

    async def ancestors(self) -> dict[str, FlowJob]:
        """Return the jobs of all flows that reach this one by calls, by id."""
        found: dict[str, FlowJob] = {}
        related = await self.related(self.job.parents)
        while related:
            found |= {one.id: one for one in related if one.id != self.job.id}
            above = [
                parse_job_reference(parent, one.environment_id)
                for one in related
                for parent in one.parents
            ]
            known = {*found, self.job.id}
            related = await self._at(
                place for place in dict.fromkeys(above) if place[1] not in known
            )
        return found

    async def _at(self, places: Iterable[tuple[str, str]]) -> list[FlowJob]:
        rows = [await self.services.tables.flow_jobs.get(*place) for place in places]
        return [kept.item for kept in rows if kept]
