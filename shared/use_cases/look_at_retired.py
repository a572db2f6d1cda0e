"""Look each day whether retired originals are on again: then they and their copies both work."""

from dataclasses import dataclass, field

from shared.alerts import readable, tell
from shared.domain.daily_look import Look
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowSummary
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.look_at_list import look_at_list
from shared.use_cases.look_in_turn import look_in_turn


@dataclass(slots=True)
class RetiredLook:
    """What a look at the retired originals of an environment found."""

    #: Titles of those that are on again.
    on_again: list[str] = field(default_factory=list)
    not_looked_at: int = 0


@dataclass(frozen=True, slots=True)
class _Original:
    """What is needed of the job of one: there may be ten thousand."""

    job_id: str
    workflow_id: str
    flow_name: str
    title: str


async def look_at_retired(services: Services, environment: Environment) -> RetiredLook:
    """Tell people of each retired original of an environment that is on again."""
    look, table = RetiredLook(), services.tables.flow_jobs
    where = [Condition("state", "eq", FlowJobState.RETIRED)]
    rows = readable(services, table.scan(environment.id, where=where))
    originals = {kept.item.id: _original(kept.item) async for kept in rows}
    deleted = await _deleted(services, environment)
    without_row: list[_Original] = []

    async def found_on(original: _Original) -> None:
        look.on_again.append(original.title)
        row = (table.name, environment.id, original.job_id)
        text = f"{original.title} was retired, and is on again."
        await tell(services, Reason.RETIRED_ORIGINAL_ON, row, text)

    async def seen(job_id: str, known: WorkflowSummary | None) -> None:
        if known is None:
            if job_id not in deleted:
                without_row.append(originals[job_id])
        elif known.state is FlowState.ON:
            await found_on(originals[job_id])

    if environment.dataverse_url:
        ids = {one.job_id: one.workflow_id for one in originals.values()}
        look.not_looked_at = await look_in_turn(services, environment, Look.RETIRED, ids, seen)
    else:
        without_row = [one for one in originals.values() if one.job_id not in deleted]
    look.not_looked_at += await look_at_list(
        services, environment, {one.flow_name: one for one in without_row}, found_on
    )
    return look


def _original(job: FlowJob) -> _Original:
    return _Original(job.id, job.original_id, job.flow_name, job.display_name)


async def _deleted(services: Services, environment: Environment) -> set[str]:
    """Return the jobs whose originals the app has deleted so long ago that none can return."""
    where = [Condition("state", "eq", DeletionState.DELETED)]
    rows = services.tables.deletions.scan(environment.id, where=where)
    return {
        kept.item.job_id
        async for kept in readable(services, rows)
        if kept.item.restorable_until and kept.item.restorable_until < services.now
    }
