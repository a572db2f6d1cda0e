from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import RemediationMode
from shared.errors import ThrottledError
from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario, edit


@dataclass(slots=True, kw_only=True)
class FlowServiceBudget:
    """A budget that rejects more than five requests a minute, as the adapters do by default."""

    now: Callable[[], datetime]
    calls_a_minute: int = 5
    refused: int = 0
    _taken: list[datetime] = field(default_factory=list)

    def take(self) -> None:
        since = self.now() - timedelta(minutes=1)
        self._taken = [at for at in self._taken if at > since]
        if len(self._taken) >= self.calls_a_minute:
            self.refused += 1
            wait = self._taken[0] - since
            raise ThrottledError("the budget of calls is used up", retry_after=wait)
        self._taken.append(self.now())

    def wrap_ports(self, ports: Ports) -> Ports:
        return replace(
            ports,
            flow_reports=Metered(ports.flow_reports, self),
            flow_access=Metered(ports.flow_access, self),
            flow_switch=Metered(ports.flow_switch, self),
        )


class Metered:
    def __init__(self, port: object, budget: FlowServiceBudget) -> None:
        self._port = port
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        async def take_and_call(*arguments: Any, **named: Any) -> Any:
            self._budget.take()
            return await getattr(self._port, name)(*arguments, **named)

        return take_and_call


@pytest.fixture
def scenario() -> Scenario:
    scenario = Scenario()
    budget = FlowServiceBudget(now=scenario.world.clock.now)
    scenario.around = budget.wrap_ports
    return scenario


async def test_many_changed_flows_await_approval_with_few_requests_a_minute(
    scenario: Scenario,
) -> None:
    for number in range(12):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()
    await scenario.start_remediation()
    for flow in list(scenario.world.list_flows()):
        edit(flow)

    await scenario.approve(run=timedelta(minutes=30))

    job = await scenario.read_environment_job()
    assert (job.state, job.awaiting_approval_count) == (EnvironmentJobState.AWAITING_APPROVAL, 12)


async def test_flow_is_retired_with_five_requests_a_minute(scenario: Scenario) -> None:
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old_url = scenario.build.get_trigger_url(orders)
    scenario.build.apply_key()

    await scenario.run_remediation()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert site.settings["FLOW_URL"] != old_url
    assert [flow.co_owners for flow in scenario.world.list_flows() if flow.co_owners] == []


async def test_flow_with_many_callers_is_retired_with_five_requests_a_minute(
    scenario: Scenario,
) -> None:
    orders = scenario.build.add_http_flow("Orders")
    for number in range(8):
        scenario.build.add_flow_caller(orders, name=f"Caller {number}")
    scenario.build.apply_key()

    await scenario.run_remediation()

    job = await scenario.read_job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)


async def test_plan_of_many_flows_is_completed_with_five_requests_a_minute(
    scenario: Scenario,
) -> None:
    for number in range(12):
        scenario.build.add_http_flow(f"Flow {number}")
    scenario.build.apply_key()

    await scenario.order(RemediationMode.DRY_RUN)

    assert (await scenario.read_environment_job()).is_inactive
    assert len(await scenario.plan()) == 12
