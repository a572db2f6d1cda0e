"""What an administrator orders of a running remediation, at any moment, even in mid-step."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked
from shared.services import Services
from shared.use_cases import change_remediation
from tests.fakes.crash import Plan
from tests.fakes.services import services_of
from tests.fakes.snapshot import differences, take_snapshot
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Story, approve_shown
from tests.functional.scenarios.two_environments import TwoEnvironments

type Undo = Callable[[Services, str], Awaitable[int]]

HOUR = timedelta(hours=1)
ENDED = {FlowJobState.CANCELLED, FlowJobState.ROLLED_BACK}
STAGES = [
    FlowJobState.COPYING,
    FlowJobState.COPIED,
    FlowJobState.VERIFIED,
    FlowJobState.UPDATING_CALLERS,
    FlowJobState.CHECKING_FOR_CALLS,
    FlowJobState.CUTTING_OVER,
    FlowJobState.MONITORING,
]


class BeforeLook:
    """A store: before a row of one table is first looked at, something happens."""

    def __init__(self, store: object, table: str, deed: Callable[[], Awaitable[object]]) -> None:
        self._store: Any = store
        self._table = table
        self._deed: Callable[[], Awaitable[object]] | None = deed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, table: str, partition: str, key: str) -> object:
        """Return a row, after the deed."""
        if table == self._table and self._deed:
            deed, self._deed = self._deed, None
            await deed()
        return await self._store.get(table, partition, key)


async def planned(story: Story, **settings: object) -> None:
    """Link, opt in and plan."""
    story.build.link()
    story.build.share_connections()
    await story.opt_in(**settings)
    await story.order()


@pytest.mark.parametrize("stage", STAGES)
async def test_a_cancel_at_any_stage_brings_everything_back(stage: FlowJobState) -> None:
    """Whatever was done by then is undone, and the job ends."""
    story = Story()
    swaps = stage in {FlowJobState.CUTTING_OVER, FlowJobState.MONITORING}
    title = "Keyword" if swaps else "Orders"
    flow = story.build.keyword_flow(title) if swaps else story.build.http_flow(title)
    if not swaps:
        story.build.app_setting_caller(flow)
        story.build.flow_caller(flow)
    story.world.traffic.beat(story.world)
    await planned(story)
    before = take_snapshot(story.world)
    await story.approve(run=timedelta(0))
    await story.until(title, stage)

    await story.driver.call(lambda s: change_remediation.cancel(s, story.remediation.id))
    await story.run(timedelta(days=30))
    story.world.traffic.beat(story.world)

    assert (await story.job(title)).state in ENDED
    assert differences(before, story.world) == []
    assert story.world.traffic.lost == []


async def test_an_order_that_comes_in_the_middle_of_a_step_is_obeyed_at_its_end() -> None:
    """The step sets a time that is a week away: the order does not wait for it."""
    story = Story()
    story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    await story.until("Orders", FlowJobState.CHECKING_FOR_CALLS)

    async def order() -> None:
        await change_remediation.roll_back(story.services, story.remediation.id)

    disturb(story, "flow_reports", "runs", order)
    await story.run(HOUR)

    assert (await story.job("Orders")).reached is FlowJobState.ROLLING_BACK


async def test_an_order_in_the_middle_of_the_last_step_is_obeyed_too() -> None:
    """The original has just been retired when the order to roll back is seen."""
    story = Story()
    orders = story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=HOUR)

    async def order() -> None:
        await change_remediation.roll_back(story.services, story.remediation.id)

    disturb(story, "workflows", "update", order)
    await story.run(timedelta(days=30))

    assert (await story.job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on


@pytest.mark.parametrize("order", [change_remediation.cancel, change_remediation.roll_back])
async def test_an_undo_between_approval_and_dispatch_leaves_nothing_to_run(order: Undo) -> None:
    """No job is made, and the remediation ends as cancelled."""
    story = Story()
    story.build.http_flow("Orders")
    await planned(story)
    await story.approve(run=timedelta(0))
    writes = len(story.world.writes)

    await story.driver.call(lambda s: order(s, story.remediation.id))
    await story.run(timedelta(days=30))

    assert (await story.environment_job()).state is EnvironmentJobState.CANCELLED
    assert await story.jobs() == {}
    assert story.world.writes[writes:] == []


@pytest.mark.parametrize("order", [change_remediation.cancel, change_remediation.roll_back])
async def test_an_undo_of_a_blocked_environment_ends_it(order: Undo) -> None:
    """The instruction may be to cancel it; a retry that comes later begins nothing."""
    story = Story()
    story.build.http_flow("Orders")
    await story.opt_in()
    await story.order()
    blocked = (await story.environment_job()).state

    await story.driver.call(lambda s: order(s, story.remediation.id))
    story.build.link()
    await story.retry()

    assert blocked is EnvironmentJobState.BLOCKED
    assert (await story.environment_job()).state is EnvironmentJobState.CANCELLED
    assert await story.jobs() == {}


async def test_an_order_that_meets_a_job_which_has_gone_on_changes_nothing() -> None:
    """Two people retry at once: the later order finds the job planned, and leaves it so."""
    story = Story()
    story.build.http_flow("Orders")
    await story.opt_in()
    await story.order()
    story.build.link()
    store: Any = BeforeLook(story.services.tables.store, "environmentjobs", story.retry)
    late = services_of(replace(story.twins.ports, store=store))

    count = (await change_remediation.retry(late, story.remediation.id)).jobs

    assert count == 0
    assert (await story.environment_job()).state is EnvironmentJobState.CANCELLED  # it expired


async def test_a_cancel_while_the_plan_is_being_dispatched_cancels_what_stands() -> None:
    """The process dies half-way through the rows: the ones that are there end as cancelled."""
    story = Story()
    for name in ("A", "B", "C"):
        story.build.http_flow(name)
    await planned(story)
    await story.approve(run=timedelta(0))
    story.driver.plan = Plan(at=8)
    story.renew()
    await story.run(timedelta(0))
    assert story.driver.plan.has_struck
    assert not (await story.environment_job()).has_started_flow_jobs

    await story.driver.call(lambda s: change_remediation.cancel(s, story.remediation.id))
    await story.run(timedelta(days=30))

    assert {job.state for job in (await story.jobs()).values()} <= {FlowJobState.CANCELLED}
    assert story.world.writes == []


async def test_an_approval_is_for_all_environments_or_for_none() -> None:
    """One environment in mode read_only: the other's plan still waits after the refusal."""
    story = TwoEnvironments()
    for build in story.builders:
        build.http_flow("Orders")
    story.prepare()
    await story.opt_in_both(ApprovalPolicy.REQUIRED)
    await story.order_of(*story.builders)
    tables = story.services.tables
    for build in story.builders:
        row = EnvironmentSettings(
            environment_id=build.environment.id, mode=ApprovalPolicy.READ_ONLY
        )
        await tables.environment_settings.upsert(row)
        with pytest.raises(JobBlocked):
            await approve_shown(story.services, story.remediation.id)
        await story.opt_in_both(ApprovalPolicy.REQUIRED)

    jobs = await tables.environment_jobs.all(story.remediation.id)

    assert {job.state for job in jobs} == {EnvironmentJobState.AWAITING_APPROVAL}


async def test_a_plan_expires_and_cannot_be_approved_afterwards() -> None:
    """After seven days it is cancelled; on the very moment it is refused already."""
    story = Story()
    story.build.http_flow("Orders")
    await planned(story)
    expires = (await story.environment_job()).expires
    assert expires is not None
    story.world.clock.advance_to(expires)

    with pytest.raises(JobBlocked) as refusal:
        await approve_shown(story.services, story.remediation.id)
    await story.run(HOUR)

    assert refusal.value.code == "approval_expired"
    assert (await story.environment_job()).state is EnvironmentJobState.CANCELLED
