"""Turn the copy on or off."""

from functools import partial

from shared.domain.flow import FlowState, Workflow, WorkflowUpdate
from shared.steps.copying.explain_platform_error import explain_unchanged_state
from shared.steps.flows.effect import Write
from shared.steps.flows.toggle_flow import FlowToggle, toggle_flow
from shared.steps.flows.update_workflow import build_flow_write
from shared.steps.step_context import StepContext


async def toggle_copy(
    work: StepContext, state: FlowState, *, seen: Workflow | None = None
) -> Workflow:
    """Turn the copy on or off (see `toggle_flow`).

    Raises `NotFound` if the copy no longer exists.
    """
    return await toggle_flow(work, build_copy_toggle(work), state, seen=seen)


def build_copy_toggle(work: StepContext) -> FlowToggle[Workflow]:
    """Return how the copy is read, and turned on and off."""

    async def read_copy() -> Workflow:
        return await work.services.workflows.get(work.environment, work.job.copy.id)

    def build_state_write(copy: Workflow, state: FlowState) -> Write:
        return build_flow_write(work, copy, WorkflowUpdate(state=state))

    title = f"The copy of {work.job.display_name}"
    explain = partial(explain_unchanged_state, work)
    return FlowToggle(
        side="copy", title=title, read=read_copy, write=build_state_write, explain=explain
    )
