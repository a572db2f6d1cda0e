"""Build a self-starting flow right before its cutover."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from shared.domain.flow import FlowState, WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import PlatformError
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.invariants import find_pairs_on_together
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_run_until

LICENCE = PlatformError("no adequate licence", code="MissingAdequateQuotaPolicy", status=403)


@dataclass(slots=True)
class Pair:
    """A self-starting original and its copy right before the cutover. It is also the workflows
    port, which rejects some starts.
    """

    scenario: Scenario
    original: FakeFlow
    #: By workflow id, the error with which turning the flow on is rejected.
    refusals: dict[str, Exception] = field(default_factory=dict)
    #: Called with the workflow id before a flow is turned on.
    before: Callable[[str], object] = lambda _: None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # those of Python's own protocols, such as deepcopy's
            raise AttributeError(name)
        return getattr(self.scenario.fakes.ports.workflows, name)

    async def update(
        self, environment: Any, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        if change.state is FlowState.ON:
            self.before(workflow_id)
            if workflow_id in self.refusals:
                raise self.refusals[workflow_id]
        port = self.scenario.fakes.ports.workflows
        await port.update(environment, workflow_id, change, etag=etag)

    @property
    def copy(self) -> FakeFlow:
        flows = self.scenario.world.list_flows()
        return next(flow for flow in flows if flow.made_by_app)

    def reject_starts(self, *flows: FakeFlow, error: Exception = LICENCE) -> None:
        """From now on, reject each request to turn on one of these flows."""
        self.refusals |= {flow.workflow_id: error for flow in flows}

    @property
    def on(self) -> tuple[bool, bool]:
        """Return whether the original and the copy are really on, whatever late reads show."""
        return self.original.is_on, self.copy.is_on

    async def run(self, time: timedelta) -> None:
        """Let time pass, and require that the flows are never both on."""
        await self.scenario.run(time)
        assert find_pairs_on_together(self.scenario.world) == []

    def list_switches(self, flow: FakeFlow) -> list[FlowState]:
        """Return the states that writes have set for a flow, in order."""
        switches = self.scenario.world.switches
        return [one.state for one in switches if one.workflow_id == flow.workflow_id]


#: The pairs that were built, by the arguments of `build_pair`. Each test gets a copy.
_BUILT: dict[tuple[object, ...], Pair] = {}


async def build_pair(*, is_outside: bool = False, **assumptions: object) -> Pair:
    """Return a pair right before its cutover. With `is_outside`, the original has no row in
    Dataverse.
    """
    key = (is_outside, *sorted(assumptions.items()))
    if key not in _BUILT:
        _BUILT[key] = await _build_pair(is_outside, assumptions)
    pair = deepcopy(_BUILT[key])
    pair.scenario.around = lambda ports: replace(ports, workflows=pair)
    return pair


async def _build_pair(is_outside: bool, assumptions: Mapping[str, object]) -> Pair:
    scenario = Scenario()
    pair = Pair(scenario, scenario.build.add_keyword_flow("Keyword"))
    if is_outside:
        pair.original.in_solution, pair.original.flow_name = False, pair.original.workflow_id
        scenario.world.assumptions.my_flows_have_rows = False
    for name, value in assumptions.items():
        setattr(scenario.world.assumptions, name, value)
    await plan_and_run_until(scenario, "Keyword", FlowJobState.CUTTING_OVER)
    return pair


async def turn_kill_switch_on(pair: Pair) -> None:
    await set_kill_switch(pair.scenario.services, is_on=True, by="tests", reason="")
