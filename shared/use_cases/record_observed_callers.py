"""Find out each day who still calls originals after their known callers were updated."""

from shared.alerts import alert_unreadable_row, read_readable
from shared.domain.environment import Environment
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import NotFound, PlatformError, UnreadableRow
from shared.jobs.job_kinds import FLOW
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.observed_callers import read_new_calls
from shared.steps.write_permission import read_environment_settings


async def record_observed_callers(services: Services, environment: Environment) -> None:
    """Count new calls to originals, and wake up the jobs whose originals were called.

    Does nothing unless the environment's settings permit observing callers. If runs cannot be read,
    stores the results so far, then raises the error.
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
        row = await read_new_calls(services, job)
    except NotFound:
        return  # somebody deleted the original, which its job detects
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)
        return
    if row and row.callers:
        # Otherwise the job would report a late caller only when the no-call period ends.
        await FLOW.wake_up(services, (job.environment_id, job.id), code=Reason.NO_CALL_PERIOD)
