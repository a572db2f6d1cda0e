"""Remediations of which one process is paused, or killed, at one call; and what holds after it.

A paused process is the third thing beside those that are killed and repeated: another delivery goes
on in its place, and then it goes on as well, with what it had read before.
"""

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
from tests.fakes.snapshot import Snapshot, differences, take_snapshot
from tests.fakes.tenant import TwinFlow
from tests.fakes.test_world import World
from tests.functional.preparing.prepare_story import PREPARE, input_flow
from tests.functional.scenarios.remediation_scenario import Story
from tests.property.test_remediation_invariants import (
    approve,
    check,
    make_story,
    settle,
    until_done,
)

MINUTE = timedelta(minutes=1)

type Order = Callable[[Services, str], Awaitable[object]]


def _v1_flows(story: Story, *names: str) -> list[TwinFlow]:
    for name in names:
        story.build.power_apps_v1_flow(name)
    return []


def _admin_flow(story: Story) -> TwinFlow:
    """Add a flow whose action has the shape that saves take on both platforms."""
    flow = story.build.admin_list_flow("Admin")
    flow.client_data = flow.client_data.replace('"connectionName"', '"connectionReferenceName"')
    return flow


#: What is prepared for a key; each adds flows and returns those that are named to be converted.
PREPARED: dict[str, Callable[[Story], list[TwinFlow]]] = {
    "added": lambda story: _v1_flows(story, "App"),
    "added together": lambda story: _v1_flows(story, "A", "B", "C"),
    "action": lambda story: [_admin_flow(story)],
    "trigger": lambda story: [input_flow(story)],
    "both": lambda story: [input_flow(story), _admin_flow(story)],
}


class StruckError(Exception):
    """The process is frozen, or dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What happens to the first process: at which call, counted from 1, and for how long."""

    at: int
    moment: Moment
    #: None: it is killed.
    sleep: timedelta | None

    def plan(self, world: World) -> Plan:
        """Return the plan that does it."""
        if self.sleep is None:
            return Plan(at=self.at, moment=self.moment)
        return Pause(at=self.at, moment=self.moment, sleeps=self.sleep, clock=world.clock)


@dataclass(slots=True)
class Interrupted:
    """A remediation: what it begins with, where and how soon it ends if nobody stops it."""

    story: Story
    start: Callable[[], Awaitable[object]]
    done: FlowJobState
    lasts: timedelta
    before: Snapshot = field(init=False)

    def __post_init__(self) -> None:
        self.before = take_snapshot(self.story.world)

    async def play(self, order: Order | None = None, *, after: timedelta = timedelta(0)) -> bool:
        """Remediate to the end; `order` is given so long after the strike. Says if there was one.

        Raises `AssertionError` if anything is not as it has to be.
        """
        has_struck = await self.unfold(order, after=after)
        await self._ended_well(order)
        return has_struck

    async def unfold(self, order: Order | None, *, after: timedelta) -> bool:
        """Do so where the end depends on what else the order did."""
        story = self.story
        await story.opt_in()
        await until_done(story, self.start)
        await approve(story)
        if not story.driver.plan.has_struck:
            await run_until_struck(story, self.lasts)
        has_struck = story.driver.plan.has_struck
        if order:
            await story.run(after)
            await order(story.services, story.remediation.id)
        await settle(story)
        check(story)
        return has_struck

    async def _ended_well(self, order: Order | None) -> None:
        jobs = (await self.story.jobs()).values()
        states, told = {job.state for job in jobs}, [(job.state, job.reason) for job in jobs]
        if order in {None, change_remediation.retry}:
            assert states == {self.done}, told
            assert self.story.world.traffic.handled_twice == []
        elif order is not change_remediation.cancel or self.done not in states:
            assert states <= {FlowJobState.ROLLED_BACK, FlowJobState.CANCELLED}, told
            assert differences(self.before, self.story.world) == []


def copied(
    ingredients: list[str],
    strike: Strike,
    *,
    seed: int = 7,
    profile: Profile = Profile.DOCUMENTED,
) -> Interrupted:
    """Build a tenant of the ingredients, whose flows are copied."""
    story = make_story(ingredients, seed, Plan(), 0.0, profile)
    return Interrupted(_under(story, strike), story.order, FlowJobState.RETIRED, timedelta(days=10))


def prepared(
    name: str, strike: Strike, *, seed: int = 7, profile: Profile = Profile.DOCUMENTED
) -> Interrupted:
    """Build a tenant whose flows are prepared for a key."""
    story = Story(mode=ApprovalPolicy.REQUIRED, world=World(seed=seed), profile=profile)
    named = [flow.workflow_id for flow in PREPARED[name](story)]
    start = partial(story.order, PREPARE, *named)
    return Interrupted(_under(story, strike), start, FlowJobState.PREPARED, timedelta(hours=1))


def _under(story: Story, strike: Strike) -> Story:
    story.driver = Driver(twins=story.twins, make=story.make, plan=strike.plan(story.world))
    return story


async def run_until_struck(story: Story, time: timedelta) -> None:
    """Let time pass until the process is struck."""

    def look() -> None:
        if story.driver.plan.has_struck:
            raise StruckError

    story.driver.meanwhile, meanwhile = look, story.driver.meanwhile
    with suppress(StruckError):
        await story.run(time)
    story.driver.meanwhile = meanwhile
