"""Record and read who called originals after their known callers were updated."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.alerts import alert_unreadable_row, read_readable
from shared.domain.callers.observed_caller import NamedCaller, ObservedCallers
from shared.domain.environment import Environment
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import NotFound, PlatformError, UnreadableRow
from shared.jobs.job_kinds import FLOW
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.observed_callers import read_and_store_new_calls, read_named_callers
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.read_remediation_rows import RowReader


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersOfOriginal:
    """Who called one original after its known callers were updated, according to its runs."""

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
    """Return the callers of the originals of these jobs in one environment.

    Omits originals that nobody called.
    """
    by_id = {job.id: job for job in jobs if job.environment_id == environment_id}
    rows = await reading.list_readable(services.tables.observed_callers.scan(environment_id))
    return [
        await _read_callers_of_original(services, by_id[row.job_id], row)
        for row in rows
        if row.job_id in by_id
    ]


async def read_observed_callers_of_job(
    services: Services, job: FlowJob, reading: RowReader
) -> CallersOfOriginal | None:
    """Return the callers of one original, or None if no call was read."""
    kept = None
    with reading.collect_unreadable():
        kept = await services.tables.observed_callers.get(job.environment_id, job.id)
    return await _read_callers_of_original(services, job, kept.item) if kept else None


async def _read_callers_of_original(
    services: Services, job: FlowJob, row: ObservedCallers
) -> CallersOfOriginal:
    return CallersOfOriginal(
        environment_id=job.environment_id,
        original_id=job.original.id,
        display_name=job.display_name,
        read_until=row.read_until,
        callers=tuple(await read_named_callers(services, job, row)),
    )


async def record_observed_callers(services: Services, environment: Environment) -> None:
    """Count new calls to originals, and wake up the jobs whose originals were called.

    Does nothing unless the environment's settings permit observing callers. If the runs of a flow
    cannot be read, continues with the others, then raises the error.
    """
    if not (await read_environment_settings(services, environment.id)).observe_callers:
        return
    where = [Condition("state", "eq", FlowJobState.WAITING)]
    found = [
        kept.item
        async for kept in read_readable(
            services, services.tables.flow_jobs.scan(environment.id, where=where)
        )
        if kept.item.step is FlowJobState.CHECKING_FOR_CALLS
    ]
    # The budget may not suffice for all originals, so the order changes daily.
    start = services.now.toordinal() % max(len(found), 1)
    rejected: PlatformError | None = None
    for job in found[start:] + found[:start]:
        try:
            await _record_new_calls(services, job)
        except PlatformError as err:  # the runs of this flow only
            rejected = err
    if rejected:
        raise rejected


async def _record_new_calls(services: Services, job: FlowJob) -> None:
    try:
        row = await read_and_store_new_calls(services, job)
    except NotFound:
        return  # somebody deleted the original, which its job detects
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)
        return
    if row and row.callers:
        # Otherwise the job would report a late caller only when the no-call period ends.
        await FLOW.wake_up(services, (job.environment_id, job.id), code=Reason.NO_CALL_PERIOD)
