"""Look each day whether retired originals are on again: then they and their copies both work."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from shared.domain.daily_look import Look
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, KnownFlow
from shared.domain.jobs.flow_states import JobState
from shared.domain.jobs.job import FlowJob
from shared.errors import NotFound, ProductError
from shared.notices import readable, tell
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.look_in_turn import look_in_turn, note_look


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
    look, table = RetiredLook(), services.tables.jobs
    where = [Condition("state", "eq", JobState.RETIRED)]
    rows = readable(services, table.scan(environment.id, where=where))
    originals = {kept.item.id: _original(kept.item) async for kept in rows}
    without_row: list[_Original] = []

    async def found_on(original: _Original) -> None:
        look.on_again.append(original.title)
        row = (table.name, environment.id, original.job_id)
        text = f"{original.title} was retired, and is on again."
        await tell(services, Reason.CAME_BACK, row, text)

    async def seen(job_id: str, known: KnownFlow | None) -> None:
        if known is None:
            without_row.append(originals[job_id])
        elif known.state is FlowState.ON:
            await found_on(originals[job_id])

    if environment.dataverse_url:
        ids = {one.job_id: one.workflow_id for one in originals.values()}
        look.not_looked_at = await look_in_turn(services, environment, Look.RETIRED, ids, seen)
    else:
        without_row = list(originals.values())
    error: ProductError | None = None
    try:
        for original in await _on_in_flow_service(services, environment, without_row):
            await found_on(original)
    except ProductError as err:
        error = err
    not_listed = len(without_row) if error else 0
    await note_look(
        services,
        environment,
        Look.OUTSIDE,
        not_looked_at=not_listed,
        of=len(without_row),
        error=error,
    )
    look.not_looked_at += not_listed
    return look


def _original(job: FlowJob) -> _Original:
    return _Original(job.id, job.original_id, job.flow_name, job.display_name)


async def _on_in_flow_service(
    services: Services, environment: Environment, originals: Collection[_Original]
) -> list[_Original]:
    """Return those that are on and that Dataverse has no row of: one list tells of them all."""
    if not originals:
        return []
    listed = await services.flow_reports.list_flows(environment.id)
    states = {flow.flow_name: flow.state for flow in listed}
    found = []
    for original in originals:
        state, name = states.get(original.flow_name), original.flow_name
        if state is None and name in states:  # a list may be bare
            with suppress(NotFound):  # deleted since it was listed
                state = (await services.flow_reports.get_flow(environment.id, name)).state
        if state is FlowState.ON:
            found.append(original)
    return found
