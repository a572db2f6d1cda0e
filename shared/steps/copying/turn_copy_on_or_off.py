"""Turn the copy on or off."""

from shared.domain.flow import FlowState, Workflow, WorkflowChange
from shared.errors import Blocked
from shared.steps.copying.explain_platform_error import explain_state
from shared.steps.flows.effect import Write
from shared.steps.flows.toggle_flow import Switch, turn
from shared.steps.flows.update_workflow import changing
from shared.steps.step_context import Work


async def turn_copy(work: Work, state: FlowState, *, seen: Workflow | None = None) -> Workflow:
    """Turn the copy on or off (see `turn`); raises `NotFound` if it is gone."""
    return await turn(work, copy_switch(work), state, seen=seen)


def copy_switch(work: Work) -> Switch[Workflow]:
    """Return how the copy is turned on and off."""

    async def read() -> Workflow:
        return await work.services.workflows.get(work.environment, work.job.copy_id)

    def write(copy: Workflow, state: FlowState) -> Write:
        return changing(work, copy, WorkflowChange(state=state))

    async def explain(copy: Workflow, state: FlowState) -> Blocked:
        return await explain_state(work, copy, state)

    title = f"The copy of {work.job.display_name}"
    return Switch(note="copy_sent", title=title, read=read, write=write, explain=explain)
