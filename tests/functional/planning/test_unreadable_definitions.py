from dataclasses import replace
from typing import Any, cast

from shared.domain.flow import FlowServiceFlow
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.errors import InvalidInput
from shared.ports import FlowReports
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation


class TooDeepFlow:
    """A flow service that cannot read one flow, because its JSON nests too deeply."""

    def __init__(self, reports: FlowReports, flow_name: str) -> None:
        self._reports = reports
        self._flow_name = flow_name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reports, name)

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        if flow_name == self._flow_name:
            raise InvalidInput("flow service: the JSON nests too deeply")
        return await self._reports.get_flow(environment_id, flow_name)


async def test_too_deeply_nested_definition_does_not_stop_the_plan() -> None:
    scenario = Scenario()
    deep = scenario.build.add_http_flow("Deep")
    deep.in_solution = False
    scenario.build.add_http_flow("Orders")
    scenario.world.assumptions.my_flows_have_rows = False
    scenario.around = lambda ports: replace(
        ports, flow_reports=cast("Any", TooDeepFlow(ports.flow_reports, deep.flow_name))
    )

    await plan_remediation(scenario)

    plan = await scenario.plan()
    assert plan["Orders"].action is PlannedAction.COPY
    assert (plan["Deep"].action, plan["Deep"].category) == (
        PlannedAction.NEEDS_CHANGES,
        "unknown",
    )
    assert "nests too deep" in plan["Deep"].message
    assert (await scenario.read_environment_job()).state is EnvironmentJobState.AWAITING_APPROVAL
