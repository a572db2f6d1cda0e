import asyncio
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.fakes.crash import Plan
from tests.fakes.driver import Driver
from tests.fakes.invariants import watch
from tests.fakes.ports import build_fakes
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.world import World
from tests.functional.scenarios.two_environments import TwoEnvironments
from tests.property.examples import count_examples
from tests.property.test_remediation_invariants import (
    check_invariants,
    plans,
    repeat_change,
    repeat_until_done,
    settle,
)


def build_two_environments(seed: int, plan: Plan) -> TwoEnvironments:
    scenario = TwoEnvironments(world=World(seed=seed))
    _, shop = scenario.add_call_across()
    scenario.other.add_app_setting_caller(shop)
    scenario.prepare()
    scenario.fakes = build_fakes(scenario.world, order=Random(seed))  # noqa: S311 -- repeatable
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=plan, unsettled=0.2)
    scenario.world.traffic.beat(scenario.world)
    watch(scenario.world)
    return scenario


@settings(max_examples=count_examples(25))
@given(seed=st.integers(0, 10_000), plan=plans, hours=st.integers(0, 24 * 20), undo=st.booleans())
def test_killed_process_or_rollback_loses_no_call_across_environments(
    seed: int, plan: Plan, hours: int, undo: bool
) -> None:
    async def play() -> None:
        scenario = build_two_environments(seed, plan)
        before = take_snapshot(scenario.world)
        await scenario.opt_in_both()
        await repeat_until_done(
            lambda: scenario.start_remediation_of(scenario.build, scenario.other)
        )
        ended = {FlowJobState.RETIRED}
        if undo:
            await scenario.run(timedelta(hours=hours))
            await repeat_change(scenario, change_remediation.roll_back)
            ended = {FlowJobState.ROLLED_BACK, FlowJobState.CANCELLED}
        await settle(scenario)
        check_invariants(scenario)
        jobs = await scenario.read_all_jobs()
        assert {job.state for job in jobs.values()} <= ended, [
            (job.display_name, job.state, job.message) for job in jobs.values()
        ]
        if undo:
            assert find_differences(before, scenario.world) == []

    asyncio.run(play())
