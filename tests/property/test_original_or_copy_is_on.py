"""Test that original and copy are never both off without a notification."""

from datetime import timedelta

import pytest

from shared.reason import Reason
from tests.fakes.crash import Moment, Plan
from tests.fakes.driver import Driver
from tests.fakes.invariants import find_flows_left_off, find_pairs_on_together
from tests.fakes.pause import Pause
from tests.functional.scenarios.cutover_scenario import Pair, build_pair

#: As long as a function may take, and a little less than what the app counts on.
FROZEN = timedelta(minutes=10)
#: A swap that is refused and taken back takes fewer calls; then only the timer makes any.
LAST = 90
REFUSED = {
    "nothing": (False, False),
    "the copy": (False, True),
    "the original": (True, False),
    "both": (True, True),
}


async def run_interrupted_cutover(refused: str, lag: float, plan: Plan) -> Pair:
    pair = await build_pair(read_lag_seconds=(lag, lag))
    scenario, world = pair.scenario, pair.scenario.world
    world.watchers.append(find_pairs_on_together)
    original, copy = REFUSED[refused]
    pair.reject_starts(*([pair.original] if original else []), *([pair.copy] if copy else []))
    if isinstance(plan, Pause):
        plan.clock = world.clock
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=plan)

    await scenario.run(timedelta(hours=1))
    if isinstance(plan, Pause) and plan.is_asleep:
        await scenario.run(2 * FROZEN)

    where = (refused, lag, plan.at, plan.moment)
    assert world.violations == [], where
    job = await scenario.read_job("Keyword")
    if find_flows_left_off(world, [pair.original.workflow_id]):
        assert job.reason_code == Reason.BOTH_OFF, (where, job.message, job.history)
        assert original, where
        assert copy, where
        assert Reason.BOTH_OFF in {one.reason_code for one in scenario.fakes.notices.told}, where
        pair.refusals.clear()
        await scenario.run(timedelta(hours=1))
    else:
        assert job.both_off_since is None, (where, job.message, job.history)
    assert find_flows_left_off(world, [pair.original.workflow_id]) == [], where
    assert world.violations == [], where
    return pair


def build_plan(at: int, moment: Moment, *, sleeps: bool) -> Plan:
    if not sleeps:
        return Plan(at=at, moment=moment)
    return Pause(at=at, moment=moment, sleeps=FROZEN, clock=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("sleeps", [False, True])
@pytest.mark.parametrize("refused", REFUSED)
@pytest.mark.parametrize(("lag", "step"), [(0.0, 2), (30.0, 7)])
async def test_original_or_copy_is_on_after_any_interruption(
    lag: float, step: int, refused: str, *, sleeps: bool
) -> None:
    at, has_struck = 1, True
    while has_struck and at <= LAST:
        for moment in Moment:
            plan = build_plan(at, moment, sleeps=sleeps)
            await run_interrupted_cutover(refused, lag, plan)
            has_struck = plan.has_struck
        at += step
