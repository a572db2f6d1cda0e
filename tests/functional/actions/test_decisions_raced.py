"""Decisions that meet a delivery, one another, or an environment that is no longer as it was."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.errors import Conflict
from shared.jobs.job_kinds import FLOW
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.steps.planning.start_flow_jobs import start_flow_jobs
from shared.use_cases.approve_plan import ApprovalInput, approve
from shared.use_cases.change_remediation import cancel, roll_back
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.schedule_deletions import cancel_deletions
from shared.use_cases.show_remediation import show_plan
from tests.fakes.services import services_of
from tests.functional.deleting.deletion_story import DAY, MINUTE, deletions, order, retired_story
from tests.functional.scenarios.disturbance import Disturbed
from tests.functional.scenarios.remediation_scenario import Story
from tests.functional.scenarios.two_environments import TwoEnvironments

HOUR = timedelta(hours=1)
NOW = timedelta(0)


async def planned(story: Story, mode: RemediationMode = RemediationMode.APPLY) -> None:
    """Opt in and plan."""
    story.build.share_connections()
    await story.opt_in()
    await story.order(mode)


async def copied() -> Story:
    """Return a story whose one flow is copied; the next step is not begun."""
    story = Story()
    story.build.http_flow("Orders")
    story.build.link()
    await planned(story)
    await story.approve(run=NOW)
    await story.until("Orders", FlowJobState.COPIED)
    return story


async def claimed(story: Story) -> LeasedJob[FlowJob]:
    """Take the job's row, as a delivery does."""
    table = story.services.tables.flow_jobs
    kept = await table.get(*table.address(await story.job("Orders")))
    assert kept is not None
    return await FLOW.claim(story.services, kept)


async def test_a_start_that_died_can_be_cancelled_and_stays_so() -> None:
    """The rows that are missing are made cancelled."""
    story = Story()
    story.build.http_flow("Orders")
    story.build.link()
    await story.opt_in()
    row = await half_started(story)

    await cancel(story.services, row.id)
    await story.run(HOUR)

    (job,) = await story.services.tables.environment_jobs.all(row.id)
    assert job.state is EnvironmentJobState.CANCELLED


async def half_started(story: Story) -> Remediation:
    """Store the row of a remediation without any of its environment jobs."""
    row = Remediation(
        mode=RemediationMode.APPLY,
        origin=StartSource.DAILY_CHECK,
        cause="a day",
        created=story.world.clock.now(),
        environment_ids=(story.build.environment.id,),
    )
    await story.services.tables.remediations.insert(row)
    return row


async def test_a_job_that_is_taken_up_in_mid_step_stays_with_its_new_remediation() -> None:
    """The delivery that holds the row writes its outcome, not whose job it was before."""
    story = await copied()
    await story.order(cause="order-2")
    held = await claimed(story)

    await start_flow_jobs(story.services, await story.environment_job())
    await held.end(held.job)

    job = await story.job("Orders")
    assert job.remediation_id == story.remediation.id
    assert job.environment_job_id == (await story.environment_job()).id


async def test_an_order_in_mid_step_keeps_what_it_accepts() -> None:
    """A rollback that accepts a replay is not asked about it again."""
    story = await copied()
    held = await claimed(story)

    await roll_back(story.services, story.remediation.id, replay=True)
    await held.end(held.job)

    job = await story.job("Orders")
    assert (job.requested, job.accepts_replay) == (JobCommand.ROLL_BACK, True)


async def test_an_order_before_a_renewal_outlives_what_the_step_had_read() -> None:
    """A lease is renewed while a step works, which then saves what it made of an older row."""
    story = await copied()
    held = await claimed(story)
    read = held.job

    await roll_back(story.services, story.remediation.id, replay=True)
    await held.renew()
    await held.save(replace(read, signature_hash="read"))

    job = await story.job("Orders")
    assert (job.requested, job.accepts_replay) == (JobCommand.ROLL_BACK, True)
    assert job.signature_hash == "read"


async def test_an_approved_plan_waits_while_the_environment_is_off_its_policy() -> None:
    """No flow counts as moved because nothing is listed; linked again, the plan is carried out."""
    story = Story()
    story.build.http_flow("Orders")
    story.build.link()
    await planned(story)
    await story.approve(run=NOW)
    story.build.unlink()
    await story.run(HOUR)
    held = await story.environment_job()
    items = await story.plan()

    story.build.link()
    await story.run(60 * DAY)

    assert held.state is EnvironmentJobState.APPROVED
    assert "policy" in held.reason
    assert items["Orders"].action is PlannedAction.COPY
    assert (await story.job("Orders")).state is FlowJobState.RETIRED


async def test_an_approved_preparation_stops_once_a_key_is_applied() -> None:
    """It is too late to prepare: nothing is added to a solution, and the row says what to do."""
    story = Story()
    story.build.power_apps_v1_flow("Asked by an app")
    await planned(story, RemediationMode.PREPARE)
    await story.approve(run=NOW)
    story.build.link()

    await story.run(HOUR)

    job = await story.environment_job()
    assert job.state is EnvironmentJobState.BLOCKED
    assert "linked" in job.reason
    assert job.instruction
    assert await story.jobs() == {}


async def test_an_approval_that_is_sent_again_is_the_same_approval() -> None:
    """The answer got lost: the second one counts the same environments, nothing is done twice."""
    story = TwoEnvironments()
    for build in story.builders:
        build.http_flow("Orders")
    story.prepare()
    await story.opt_in_both(ApprovalPolicy.REQUIRED)
    await story.order_of(*story.builders)
    plans = await show_plan(story.services, story.remediation.id)
    versions = tuple(plan.version for plan in plans)
    one = ApprovalInput(versions=versions[:1], by="tests")
    both = replace(one, versions=versions)
    await approve(story.services, story.remediation.id, one)

    first = await approve(story.services, story.remediation.id, both)
    second = await approve(story.services, story.remediation.id, both)

    assert {job.approved_version for job in first} == set(versions)
    assert {job.approved_version for job in second} == set(versions)
    assert {job.approval_count for job in second} == {1}


async def test_one_original_that_is_being_deleted_does_not_keep_others_from_being_kept() -> None:
    """Every delete that stands is cancelled; the refusal names the one that came too late."""

    def build(story: Story) -> None:
        for title in ("Invoices", "Orders", "Returns"):
            story.build.http_flow(title)

    story = await retired_story(build)
    await order(story)
    rows = await deletions(story)
    ids = sorted(row.job_id for row in rows.values())
    table = story.services.tables.deletions
    late = await table.get(story.build.environment.id, ids[0])
    assert late is not None
    await table.replace(late, replace(late.item, state=DeletionState.DELETING))

    with pytest.raises(Conflict, match=late.item.display_name):
        await cancel_deletions(story.services, story.remediation.id, (), by="keeper")

    states = [row.state for row in (await deletions(story)).values()]
    assert sorted(states) == [
        DeletionState.CANCELLED,
        DeletionState.CANCELLED,
        DeletionState.DELETING,
    ]


async def test_a_delete_that_meets_a_defect_does_not_hold_up_the_others() -> None:
    """The round looks at every row that is due, and tells of the one that fails until it ends."""

    def build(story: Story) -> None:
        story.build.http_flow("Invoices")
        story.build.http_flow("Orders")

    story = await retired_story(build)
    await order(story)
    ids = sorted(row.job_id for row in (await deletions(story)).values())
    await story.run(DAY + MINUTE)
    services = story.services
    get = services.tables.flow_jobs.get

    async def broken(partition: str, key: str) -> object:
        if key == ids[0]:
            raise ZeroDivisionError
        return await get(partition, key)

    services.tables.flow_jobs.get = broken  # type: ignore[assignment, method-assign]
    for _ in range(12):
        await delete_originals(services)
        story.world.clock.advance(5 * MINUTE)

    told = story.twins.notices.told
    assert [(one.code, one.row[2]) for one in told] == [
        (Reason.ROW_SKIPPED, ids[0]),
        (Reason.INTERNAL_ERROR, ids[0]),
    ]
    assert all("ZeroDivisionError" in one.message for one in told)
    states = {row.job_id: row.state for row in (await deletions(story)).values()}
    assert states == {ids[0]: DeletionState.BLOCKED, ids[1]: DeletionState.DELETED}


async def test_a_delivery_that_loses_the_race_for_a_row_looks_at_it_again() -> None:
    """An order came between its read and its claim: it is obeyed by this very delivery."""
    story = await copied()
    job = await story.job("Orders")

    async def an_order_comes() -> None:
        await roll_back(story.services, story.remediation.id)

    services = services_of(
        replace(
            story.twins.ports,
            store=Disturbed(story.twins.store, "write", an_order_comes, after=False),
        ),
        settings=story.settings,
    )
    await run_flow_job_step(services, job.environment_id, job.id)

    assert (await story.job("Orders")).is_rolling_back


async def test_an_adoption_is_announced_by_a_message_of_its_own() -> None:
    """The id of the job's last message may be used up: a message with it would be dropped."""
    story = await copied()
    before = await story.job("Orders")
    await story.order(cause="order-2")

    await start_flow_jobs(story.services, await story.environment_job())

    after = await story.job("Orders")
    assert after.remediation_id == story.remediation.id
    assert after.message_number > before.message_number
