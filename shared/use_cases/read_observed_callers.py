"""Read from stored rows who called originals after their known callers were updated."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.domain.callers.observed_caller import NamedCaller, ObservedCallers
from shared.domain.jobs.flow_job import FlowJob
from shared.services import Services
from shared.steps.flows.observed_callers import name_observed_callers
from shared.use_cases.read_remediation_rows import RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersOfOriginal:
    """The callers of one original after its known callers were updated, according to its runs."""

    environment_id: str
    original_id: str
    display_name: str
    #: Calls up to this time are counted.
    read_until: datetime
    #: Unknown callers first, and those with the most calls first.
    callers: tuple[NamedCaller, ...]


async def read_observed_callers(
    services: Services, environment_id: str, jobs: Iterable[FlowJob], reading: RowReader
) -> list[CallersOfOriginal]:
    """Return the callers of each original of one environment that was called."""
    by_id = {job.id: job for job in jobs if job.environment_id == environment_id}
    rows = await reading.list_readable(services.tables.observed_callers.scan(environment_id))
    return [
        await _name_callers(services, by_id[row.job_id], row) for row in rows if row.job_id in by_id
    ]


async def read_observed_callers_of(
    services: Services, job: FlowJob, reading: RowReader
) -> CallersOfOriginal | None:
    """Return the callers of one original, or None if no call was read."""
    kept = None
    with reading.collect_unreadable():
        kept = await services.tables.observed_callers.get(job.environment_id, job.id)
    return await _name_callers(services, job, kept.item) if kept else None


async def _name_callers(
    services: Services, job: FlowJob, row: ObservedCallers
) -> CallersOfOriginal:
    return CallersOfOriginal(
        environment_id=job.environment_id,
        original_id=job.original.id,
        display_name=job.display_name,
        read_until=row.read_until,
        callers=tuple(await name_observed_callers(services, job, row)),
    )
