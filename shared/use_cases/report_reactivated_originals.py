"""Check each day whether retired originals are on again, besides their copies."""

from dataclasses import dataclass, field

from shared.alerts import read_readable, send_alert
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowSummary
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.timer_run import DailyCheckTarget
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.check_in_flow_list import check_originals_in_flow_list
from shared.use_cases.check_in_rotation import check_flows_in_rotation


@dataclass(slots=True)
class RetiredOriginalsResult:
    """Which retired originals are on again, and how many were not checked."""

    #: Names of the originals that are on again.
    on_again: list[str] = field(default_factory=list)
    not_checked_count: int = 0


@dataclass(frozen=True, slots=True)
class _Original:
    """The ids and the title of one original.

    Only these are kept, because there may be ten thousand originals.
    """

    job_id: str
    workflow_id: str
    flow_name: str
    title: str


async def report_reactivated_originals(
    services: Services, environment: Environment
) -> RetiredOriginalsResult:
    """Send an alert for each retired original of an environment that is on again."""
    result, table = RetiredOriginalsResult(), services.tables.flow_jobs
    where = [Condition("state", "eq", FlowJobState.RETIRED)]
    rows = read_readable(services, table.scan(environment.id, where=where))
    originals = {kept.item.id: _build_original(kept.item) async for kept in rows}
    deleted = await _read_deleted_jobs(services, environment)
    without_row: list[_Original] = []

    async def report_turned_on(original: _Original) -> None:
        result.on_again.append(original.title)
        row = (table.name, environment.id, original.job_id)
        text = f"{original.title} was retired and is on again."
        await send_alert(services, Reason.RETIRED_ORIGINAL_ON, row, text)

    async def report_if_on(job_id: str, known: WorkflowSummary | None) -> None:
        if known is None:
            if job_id not in deleted:
                without_row.append(originals[job_id])
        elif known.state is FlowState.ON:
            await report_turned_on(originals[job_id])

    if environment.dataverse_url:
        ids = {one.job_id: one.workflow_id for one in originals.values()}
        result.not_checked_count = await check_flows_in_rotation(
            services, environment, DailyCheckTarget.RETIRED, ids, report_if_on
        )
    else:
        without_row = [one for one in originals.values() if one.job_id not in deleted]
    result.not_checked_count += await check_originals_in_flow_list(
        services, environment, {one.flow_name: one for one in without_row}, report_turned_on
    )
    return result


def _build_original(job: FlowJob) -> _Original:
    return _Original(job.id, job.original.id, job.original.flow_name, job.display_name)


async def _read_deleted_jobs(services: Services, environment: Environment) -> set[str]:
    """Return the ids of jobs whose deleted originals can no longer be restored."""
    where = [Condition("state", "eq", DeletionState.DELETED)]
    rows = services.tables.deletions.scan(environment.id, where=where)
    return {
        kept.item.job_id
        async for kept in read_readable(services, rows)
        if kept.item.restorable_until and kept.item.restorable_until < services.now
    }
