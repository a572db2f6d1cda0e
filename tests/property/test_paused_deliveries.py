"""Invariant 10: a delivery that is paused at any call, and then wakes, breaks nothing.

It is the third thing beside those that are killed and repeated: another delivery goes on in its
place, and then it goes on as well, with what it had read before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.jobs.flow_states import JobState
from shared.services import Services
from shared.use_cases import steer_remediation
from tests.functional.stories.remediation_story import Story
from tests.property.test_remediation_invariants import (
    approve,
    check,
    make_story,
    settle,
    tenants,
    until_done,
)
from tests.twins.crash import Moment, Plan
from tests.twins.driver import Driver
from tests.twins.pause import Pause
from tests.twins.snapshot import differences, take_snapshot

MINUTE = timedelta(minutes=1)

type Order = Callable[[Services, str], Awaitable[object]]

#: The host ends a function after ten minutes (host.json): nothing sleeps for longer and wakes.
sleeps = st.integers(1, 9).map(lambda minutes: timedelta(minutes=minutes, seconds=30))
moments = st.sampled_from(Moment)


class AsleepError(Exception):
    """The process is frozen."""


def paused_story(
    ingredients: list[str], seed: int, at: int, moment: Moment, sleep: timedelta
) -> Story:
    """Build a tenant whose first process freezes at one call."""
    story = make_story(ingredients, seed, Plan(), 0.0)
    pause = Pause(at=at, moment=moment, sleeps=sleep, clock=story.world.clock)
    story.driver = Driver(twins=story.twins, make=story.make, plan=pause)
    return story


async def run_until_asleep(story: Story, days: int) -> bool:
    """Let time pass until the process freezes; says whether it did."""

    def look() -> None:
        if isinstance(story.driver.plan, Pause) and story.driver.plan.is_asleep:
            raise AsleepError

    story.driver.meanwhile, meanwhile = look, story.driver.meanwhile
    try:
        await story.run(timedelta(days=days))
    except AsleepError:
        return True
    finally:
        story.driver.meanwhile = meanwhile
    return False


async def paused(
    story: Story, order: Order | None = None, *, after: timedelta = timedelta(0)
) -> bool:
    """Remediate with a pause; `order` is given so long after it began. Says whether it was one."""
    await story.opt_in()
    await until_done(story, story.order)
    await approve(story)
    was_asleep = story.driver.plan.has_struck or await run_until_asleep(story, 40)
    if order:
        await story.run(after)
        await order(story.services, story.remediation.id)
    await settle(story)
    check(story)
    return was_asleep


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    at=st.integers(1, 500),
    moment=moments,
    sleep=sleeps,
)
def test_a_paused_delivery_changes_nothing(
    ingredients: list[str], seed: int, at: int, moment: Moment, sleep: timedelta
) -> None:
    """Paused at any call, each job is retired and no invariant breaks."""

    async def scenario() -> None:
        story = paused_story(ingredients, seed, at, moment, sleep)
        await paused(story)
        jobs = await story.jobs()
        assert {job.state for job in jobs.values()} == {JobState.RETIRED}, [
            (job.display_name, job.state, job.reason) for job in jobs.values()
        ]
        assert story.world.traffic.handled_twice == []

    asyncio.run(scenario())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    at=st.integers(1, 500),
    moment=moments,
    sleep=sleeps,
    after=st.integers(0, 9),
    undo=st.sampled_from([steer_remediation.cancel, steer_remediation.roll_back]),
)
def test_a_rollback_beside_a_paused_delivery_brings_everything_back(
    ingredients: list[str],
    seed: int,
    at: int,
    moment: Moment,
    sleep: timedelta,
    after: int,
    undo: Order,
) -> None:
    """Ordered while it sleeps: every caller is what it was, no copy is on, no co-owner is left."""

    async def scenario() -> None:
        story = paused_story(ingredients, seed, at, moment, sleep)
        before = take_snapshot(story.world)
        await paused(story, undo, after=after * MINUTE)
        jobs = await story.jobs()
        ended = {JobState.ROLLED_BACK, JobState.CANCELLED}
        states = {job.state for job in jobs.values()}
        if undo is steer_remediation.cancel and JobState.RETIRED in states:
            return  # what was over by then is over
        assert states <= ended, [(job.display_name, job.state, job.reason) for job in jobs.values()]
        assert differences(before, story.world) == []

    asyncio.run(scenario())
