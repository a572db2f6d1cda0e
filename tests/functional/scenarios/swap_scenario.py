"""A self-starting flow about to be swapped, on a platform that refuses what a test says."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from shared.domain.flow import FlowState, WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import PlatformError
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.invariants import pairs_on_together
from tests.fakes.tenant import TwinFlow
from tests.functional.scenarios.remediation_scenario import Story, planned

LICENCE = PlatformError("no adequate licence", code="MissingAdequateQuotaPolicy", status=403)


@dataclass(slots=True)
class Pair:
    """A self-starting flow about to be swapped, and a platform that refuses what a test says."""

    story: Story
    original: TwinFlow
    #: Flow → what turning it on raises.
    refusals: dict[str, Exception] = field(default_factory=dict)
    #: Called with the id before each activation.
    before: Callable[[str], object] = lambda _: None

    def __getattr__(self, name: str) -> Any:
        """Stand before the port of workflows."""
        return getattr(self.story.twins.ports.workflows, name)

    async def update(
        self, environment: Any, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        """Turn a flow on unless that is refused."""
        if change.state is FlowState.ON:
            self.before(workflow_id)
            if workflow_id in self.refusals:
                raise self.refusals[workflow_id]
        port = self.story.twins.ports.workflows
        await port.update(environment, workflow_id, change, etag=etag)

    @property
    def copy(self) -> TwinFlow:
        """The copy."""
        flows = self.story.world.flows()
        return next(flow for flow in flows if flow.made_by_app)

    def refuse(self, *flows: TwinFlow, error: Exception = LICENCE) -> None:
        """Let nobody turn these on, from now on."""
        self.refusals |= {flow.workflow_id: error for flow in flows}

    @property
    def on(self) -> tuple[bool, bool]:
        """Whether original and copy are on, whatever reads show."""
        return self.original.is_on, self.copy.is_on

    async def run(self, time: timedelta) -> None:
        """Let time pass, and see that never both are on."""
        await self.story.run(time)
        assert pairs_on_together(self.story.world) == []

    def switched(self, flow: TwinFlow) -> list[FlowState]:
        """Return how a flow was turned, in order."""
        switches = self.story.world.switches
        return [one.state for one in switches if one.workflow_id == flow.workflow_id]


async def about_to_swap(*, is_outside: bool = False, **assumptions: object) -> Pair:
    """Return a pair of which the swap comes next; outside of solutions an original has no row."""
    story = Story()
    pair = Pair(story, story.build.keyword_flow("Keyword"))
    if is_outside:
        pair.original.in_solution, pair.original.flow_name = False, pair.original.workflow_id
        story.world.assumptions.my_flows_have_rows = False
    for name, value in assumptions.items():
        setattr(story.world.assumptions, name, value)
    story.around = lambda ports: replace(ports, workflows=pair)
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Keyword", FlowJobState.CUTTING_OVER)
    return pair


async def stop_writes(pair: Pair) -> None:
    """Turn the kill switch on."""
    await set_kill_switch(pair.story.services, is_on=True, by="tests", reason="")
