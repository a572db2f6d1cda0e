"""The invariants of the design: processes killed, messages doubled and late, orders at any time.

Each example is a whole remediation on twins. After every write the watchers look at the tenant.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.environment import Mode
from shared.domain.job import JobState
from shared.errors import Blocked
from shared.services import Services
from shared.use_cases import decide_plan
from shared.use_cases.resend_overdue import resend_overdue
from tests.functional.remediation_story import Story
from tests.twins.crash import Moment, Plan, was_killed
from tests.twins.driver import Driver
from tests.twins.invariants import signatures_in_store, stopped_too_early, watch
from tests.twins.ports import twins_of
from tests.twins.snapshot import differences, take_snapshot
from tests.twins.world import World

ENDED = {
    JobState.RETIRED,
    JobState.BLOCKED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.ROLLED_BACK,
}
QUIET = timedelta(days=7)

type Undo = Callable[[Services, str], Awaitable[object]]

#: What a tenant is made of; each adds flows and those who call them.
INGREDIENTS = {
    "http": lambda b: b.app_setting_caller(b.http_flow("Orders")),
    "secret": lambda b: b.secret_caller(b.http_flow("Invoices")),
    "flow": lambda b: b.flow_caller(b.http_flow("Hook")),
    "variable": lambda b: b.variable_caller(b.http_flow("Variable")),
    "keyword": lambda b: b.keyword_flow("Keyword"),
    "family": lambda b: b.family("Billing"),
    "off": lambda b: b.off_flow("Off"),
    "v1": lambda b: b.power_apps_v1_flow("App"),
    "two": lambda b: [
        b.app_setting_caller(b.http_flow("A"), setting="A"),
        b.app_setting_caller(b.http_flow("B"), setting="B"),
    ],
}

tenants = st.lists(st.sampled_from(sorted(INGREDIENTS)), min_size=1, max_size=3, unique=True)
plans = st.builds(
    lambda at, moment: Plan(at=at, moment=moment),
    st.integers(min_value=1, max_value=400),
    st.sampled_from(Moment),
)


def make_story(ingredients: list[str], seed: int, plan: Plan, unsettled: float) -> Story:
    """Build a tenant under a policy whose deliveries come in random order, some of them twice."""
    story = Story(mode=Mode.APPROVE, world=World(seed=seed))
    for name in ingredients:
        INGREDIENTS[name](story.build)
    story.build.link()
    story.build.share_connections()
    story.twins = twins_of(story.world, order=Random(seed))  # noqa: S311 -- repeatable
    story.driver = Driver(twins=story.twins, plan=plan, unsettled=unsettled)
    story.world.traffic.beat(story.world)
    watch(story.world)
    return story


async def until_done(story: Story, order: Callable[[], Awaitable[object]]) -> None:
    """Give an order again if the process died over it, as a person or the timer would."""
    try:
        await order()
    except BaseException as error:
        if not was_killed(error):
            raise
        await order()


async def approve(story: Story) -> None:
    """Approve the plan; a repetition finds it approved already."""
    with suppress(Blocked):
        await until_done(
            story,
            lambda: story.driver.call(
                lambda s: decide_plan.approve(s, story.remediation.id, by="tests")
            ),
        )


async def settle(story: Story) -> None:
    """Let a minute's timer and time do their work until nothing moves any more."""
    for _ in range(40):
        await story.run(timedelta(days=2))
        await until_done(story, lambda: story.driver.call(resend_overdue))


def check(story: Story) -> None:
    """Hold the tenant and the store against the invariants."""
    assert story.world.violations == []
    assert stopped_too_early(story.world, QUIET) == []
    assert signatures_in_store(story.world, story.twins.store) == []
    story.world.traffic.beat(story.world)
    assert story.world.traffic.lost == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    plan=plans,
    unsettled=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_a_killed_process_and_doubled_messages_change_nothing(
    ingredients: list[str], seed: int, plan: Plan, unsettled: float
) -> None:
    """Killed at any call, every message doubled: each job is retired and no invariant breaks."""

    async def scenario() -> None:
        story = make_story(ingredients, seed, plan, min(unsettled, 0.6))
        await story.opt_in()
        await until_done(story, story.order)
        await approve(story)
        await settle(story)
        check(story)
        jobs = await story.jobs()
        assert {job.state for job in jobs.values()} == {JobState.RETIRED}, [
            (job.display_name, job.state, job.reason) for job in jobs.values()
        ]
        assert story.world.traffic.handled_twice == []

    asyncio.run(scenario())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ingredients=tenants,
    seed=st.integers(0, 10_000),
    plan=plans,
    hours=st.integers(0, 24 * 20),
    undo=st.sampled_from([decide_plan.cancel, decide_plan.roll_back]),
)
def test_an_order_to_undo_at_any_moment_brings_everything_back(
    ingredients: list[str], seed: int, plan: Plan, hours: int, undo: Undo
) -> None:
    """Whatever was done by then, every caller is byte for byte what it was and no copy is on."""

    async def scenario() -> None:
        story = make_story(ingredients, seed, plan, 0.2)
        before = take_snapshot(story.world)
        await story.opt_in()
        await until_done(story, story.order)
        await approve(story)
        await story.run(timedelta(hours=hours))
        await until_done(story, lambda: story.driver.call(lambda s: undo(s, story.remediation.id)))
        await settle(story)
        check(story)
        jobs = await story.jobs()
        ended = {JobState.ROLLED_BACK, JobState.CANCELLED}
        if undo is decide_plan.cancel and JobState.RETIRED in {job.state for job in jobs.values()}:
            return  # what was over by then is over
        assert {job.state for job in jobs.values()} <= ended, [
            (job.display_name, job.state, job.reason) for job in jobs.values()
        ]
        assert differences(before, story.world) == []

    asyncio.run(scenario())
