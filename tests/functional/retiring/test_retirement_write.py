from dataclasses import replace
from typing import Any, cast

import pytest

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, WorkflowUpdate
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import PlatformError
from shared.ports import Workflows
from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_approve


class Watched:
    """A workflows port that records changes. Without `takes_both`, it rejects a common change of
    state and name.
    """

    def __init__(self, workflows: Workflows, *, takes_both: bool) -> None:
        self._workflows: Any = workflows
        self._takes_both = takes_both
        self.changes: list[tuple[str, FlowState | None, bool]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workflows, name)

    async def update(
        self, environment: Environment, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        self.changes.append((workflow_id, change.state, change.name is not None))
        if change.state and change.name and not self._takes_both:
            raise PlatformError("One at a time.", code="0x80040216", status=400)
        await self._workflows.update(environment, workflow_id, change, etag=etag)


BOTH, OFF, NAME = (FlowState.OFF, True), (FlowState.OFF, False), (None, True)


@pytest.mark.parametrize(
    ("takes_both", "writes"), [(True, [BOTH]), (False, [BOTH, OFF, NAME])], ids=str
)
async def test_original_is_turned_off_and_renamed_separately_if_one_write_is_rejected(
    *, takes_both: bool, writes: list[tuple[FlowState | None, bool]]
) -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    watched = Watched(scenario.fakes.ports.workflows, takes_both=takes_both)

    def watch_workflows(ports: Ports) -> Ports:
        return replace(ports, workflows=cast("Workflows", watched))

    scenario.around = watch_workflows
    scenario.renew()
    await plan_and_approve(scenario)

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert not original.is_on
    assert original.name == "Orders (retired, MMK)"
    mine = [
        (state, named) for flow, state, named in watched.changes if flow == original.workflow_id
    ]
    assert mine == writes
