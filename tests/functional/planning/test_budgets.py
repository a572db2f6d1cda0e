"""A remediation with the budget of calls that is the default: few calls a minute, work is kept."""

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
    """Refuses what goes beyond five calls a minute, as the adapters do by default."""

    now: Callable[[], datetime]
    calls_a_minute: int = 5
    refused: int = 0
    _taken: list[datetime] = field(default_factory=list)

    def take(self) -> None:
        """Take a call."""
        since = self.now() - timedelta(minutes=1)
        self._taken = [at for at in self._taken if at > since]
        if len(self._taken) >= self.calls_a_minute:
            self.refused += 1
            wait = self._taken[0] - since
            raise ThrottledError("the budget of calls is used up", retry_after=wait)
        self._taken.append(self.now())

    def around(self, ports: Ports) -> Ports:
        """Return the ports with the flow service under this budget."""
        return replace(
            ports,
            flow_reports=Metered(ports.flow_reports, self),
            flow_access=Metered(ports.flow_access, self),
            flow_switch=Metered(ports.flow_switch, self),
        )


class Metered:
    """Stands before a port whose calls count."""

    def __init__(self, port: object, budget: FlowServiceBudget) -> None:
        """Take every call of `port` from `budget`."""
        self._port = port
        self._budget = budget

    def __getattr__(self, name: str) -> Any:
        """Return a method that takes its calls first."""

        async def method(*arguments: Any, **named: Any) -> Any:
            self._budget.take()
            return await getattr(self._port, name)(*arguments, **named)

        return method


@pytest.fixture
def scenario() -> Scenario:
    """A scenario whose flow service takes five calls a minute."""
    scenario = Scenario()
    budget = FlowServiceBudget(now=scenario.world.clock.now)
    scenario.around = budget.around
    return scenario


async def test_more_flows_that_changed_than_a_minute_has_calls_are_held_for_approval(
    scenario: Scenario,
) -> None:
    """A solution was imported after the approval: the comparison ends, whatever the budget is."""
    for number in range(12):
        scenario.build.http_flow(f"Flow {number}")
    scenario.build.link()
    await scenario.opt_in()
    await scenario.order()
    for flow in list(scenario.world.flows()):
        edit(flow)

    await scenario.approve(run=timedelta(minutes=30))

    job = await scenario.environment_job()
    assert (job.state, job.awaiting_approval_count) == (EnvironmentJobState.AWAITING_APPROVAL, 12)


async def test_a_flow_is_retired_with_five_calls_a_minute(scenario: Scenario) -> None:
    """Reading two URLs as a borrowed co-owner takes more calls than a minute has: it still ends."""
    orders = scenario.build.http_flow("Orders")
    site = scenario.build.app_setting_caller(orders)
    old_url = scenario.build.url_of(orders)
    scenario.build.link()
    await scenario.opt_in()

    await scenario.order()
    await scenario.approve()

    job = await scenario.job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)
    assert site.settings["FLOW_URL"] != old_url
    assert [flow.co_owners for flow in scenario.world.flows() if flow.co_owners] == []


async def test_many_callers_drain_with_five_calls_a_minute(scenario: Scenario) -> None:
    """Runs of eight calling flows are looked at, a few in each minute."""
    orders = scenario.build.http_flow("Orders")
    for number in range(8):
        scenario.build.flow_caller(orders, name=f"Caller {number}")
    scenario.build.link()
    await scenario.opt_in()

    await scenario.order()
    await scenario.approve()

    job = await scenario.job("Orders")
    assert job.state is FlowJobState.RETIRED, (job.message, job.history)


async def test_a_plan_of_many_flows_without_runs_is_made_with_five_calls_a_minute(
    scenario: Scenario,
) -> None:
    """A flow whose runs were asked for is not asked again when the plan goes on."""
    for number in range(12):
        scenario.build.http_flow(f"Flow {number}")
    scenario.build.link()

    await scenario.order(RemediationMode.DRY_RUN)

    assert (await scenario.environment_job()).is_inactive
    assert len(await scenario.plan()) == 12
