"""Check the end of remediations in which one process is paused or killed at a request."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from local_cloud.tenant.core.profiles import Profile
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.services import Services
from shared.use_cases import change_remediation
from tests.fakes.crash import Moment, Plan
from tests.fakes.driver import Driver
from tests.fakes.pause import Pause
from tests.fakes.snapshot import Snapshot, find_differences, take_snapshot
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World
from tests.functional.preparing.prepare_scenario import PREPARE, add_input_flow
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.test_remediation_invariants import (
    approve_plan,
    build_ingredients_scenario,
    check_invariants,
    repeat_until_done,
    settle,
)

MINUTE = timedelta(minutes=1)

type Order = Callable[[Services, str], Awaitable[object]]


def _add_v1_flows(scenario: Scenario, *names: str) -> list[FakeFlow]:
    for name in names:
        scenario.build.add_power_apps_v1_flow(name)
    return []


def _add_admin_flow(scenario: Scenario) -> FakeFlow:
    flow = scenario.build.add_admin_list_flow("Admin")
    flow.client_data = flow.client_data.replace('"connectionName"', '"connectionReferenceName"')
    return flow


#: What is prepared for a key; each adds flows and returns those that are named to be converted.
PREPARED: dict[str, Callable[[Scenario], list[FakeFlow]]] = {
    "added": lambda scenario: _add_v1_flows(scenario, "App"),
    "added together": lambda scenario: _add_v1_flows(scenario, "A", "B", "C"),
    "action": lambda scenario: [_add_admin_flow(scenario)],
    "trigger": lambda scenario: [add_input_flow(scenario)],
    "both": lambda scenario: [add_input_flow(scenario), _add_admin_flow(scenario)],
}


class StruckError(Exception):
    """The process has been paused or killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """The interruption of a process at a request. `at` counts requests from 1."""

    at: int
    moment: Moment
    #: None: it is killed.
    sleep: timedelta | None

    def plan(self, world: World) -> Plan:
        if self.sleep is None:
            return Plan(at=self.at, moment=self.moment)
        return Pause(at=self.at, moment=self.moment, sleeps=self.sleep, clock=world.clock)


@dataclass(slots=True)
class Interrupted:
    """A remediation that a strike interrupts."""

    scenario: Scenario
    start: Callable[[], Awaitable[object]]
    done: FlowJobState
    lasts: timedelta
    before: Snapshot = field(init=False)

    def __post_init__(self) -> None:
        self.before = take_snapshot(self.scenario.world)

    async def play(self, order: Order | None = None, *, after: timedelta = timedelta(0)) -> bool:
        """Remediate to the end and check the end state. Return whether it was interrupted."""
        has_struck = await self.run_to_end(order, after=after)
        await self._check_end(order)
        return has_struck

    async def run_to_end(self, order: Order | None, *, after: timedelta) -> bool:
        """Remediate to the end and check invariants. Return whether it was interrupted."""
        scenario = self.scenario
        await scenario.opt_in()
        await repeat_until_done(self.start)
        await approve_plan(scenario)
        if not scenario.driver.plan.has_struck:
            await run_until_struck(scenario, self.lasts)
        has_struck = scenario.driver.plan.has_struck
        if order:
            await scenario.run(after)
            await order(scenario.services, scenario.remediation.id)
        await settle(scenario)
        check_invariants(scenario)
        return has_struck

    async def _check_end(self, order: Order | None) -> None:
        jobs = (await self.scenario.read_jobs()).values()
        states, told = {job.state for job in jobs}, [(job.state, job.message) for job in jobs]
        if order in {None, change_remediation.retry}:
            assert states == {self.done}, told
            assert self.scenario.world.traffic.events_handled_twice == []
        elif order is not change_remediation.cancel or self.done not in states:
            assert states <= {FlowJobState.ROLLED_BACK, FlowJobState.CANCELLED}, told
            assert find_differences(self.before, self.scenario.world) == []


def build_copied(
    ingredients: list[str],
    strike: Strike,
    *,
    seed: int = 7,
    profile: Profile = Profile.DOCUMENTED,
) -> Interrupted:
    scenario = build_ingredients_scenario(ingredients, seed, Plan(), 0.0, profile)
    return Interrupted(
        _with_strike(scenario, strike), scenario.order, FlowJobState.RETIRED, timedelta(days=10)
    )


def build_prepared(
    name: str, strike: Strike, *, seed: int = 7, profile: Profile = Profile.DOCUMENTED
) -> Interrupted:
    scenario = Scenario(mode=ApprovalPolicy.REQUIRED, world=World(seed=seed), profile=profile)
    named = [flow.workflow_id for flow in PREPARED[name](scenario)]
    start = partial(scenario.order, PREPARE, *named)
    return Interrupted(
        _with_strike(scenario, strike), start, FlowJobState.PREPARED, timedelta(hours=1)
    )


def _with_strike(scenario: Scenario, strike: Strike) -> Scenario:
    scenario.driver = Driver(
        fakes=scenario.fakes, make=scenario.make, plan=strike.plan(scenario.world)
    )
    return scenario


async def run_until_struck(scenario: Scenario, time: timedelta) -> None:
    def raise_if_struck() -> None:
        if scenario.driver.plan.has_struck:
            raise StruckError

    scenario.driver.meanwhile, meanwhile = raise_if_struck, scenario.driver.meanwhile
    with suppress(StruckError):
        await scenario.run(time)
    scenario.driver.meanwhile = meanwhile
