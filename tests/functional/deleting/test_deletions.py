"""The dated, approved delete of retired originals: what is ordered, when it is made, what waits."""

from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.run_archive import RunArchiveState
from shared.domain.plans.remediation import RemediationMode
from shared.errors import JobBlocked, NotFound
from shared.use_cases.archive_runs import archive_runs
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_daily_check import run_daily_check
from shared.use_cases.schedule_deletions import cancel_deletions, show_deletions
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.functional.deleting.deletion_story import (
    BY,
    DAY,
    MINUTE,
    Runs,
    at_its_date,
    deletes,
    deletions,
    kept_runs,
    order,
    original,
    ran,
    retired_story,
    turns,
)
from tests.functional.scenarios.remediation_scenario import Story

# --- what is ordered -----------------------------------------------------------------------------


async def test_an_original_is_deleted_on_its_date_and_not_before() -> None:
    """A day early it stands; on the day it goes, its job stays retired and says so."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story, within=2 * DAY)

    await story.run(DAY)
    await turns(story)
    stood = not orders.is_deleted
    await at_its_date(story)

    row, job = (await deletions(story))["Orders"], await story.job("Orders")
    assert stood
    assert (row.state, row.approved_by, row.is_listed) == (DeletionState.DELETED, BY, False)
    assert deletes(story) == [orders.workflow_id]
    assert job.state is FlowJobState.RETIRED
    assert BY in job.history[-1].text
    assert row.restorable_until is not None
    assert story.world.workflow(orders.environment_id, job.copy_id).is_on


async def test_a_flow_outside_solutions_is_deleted_by_the_flow_service() -> None:
    """It has no row that may be changed: the flow service's own delete is used."""
    story = await retired_story(
        lambda s: s.build.flow("Button", define.request_trigger("PowerApp"), in_solution=False)
    )
    button = original(story, "Button")
    await order(story)

    await at_its_date(story)

    assert button.is_deleted
    assert [w.what for w in story.world.writes][-1] == "delete flow"


async def test_only_a_retired_original_can_be_ordered() -> None:
    """While the job is quiet the order is refused; a flow without a job is not found."""
    story = Story()
    story.build.http_flow("Orders")
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve(run=DAY)

    with pytest.raises(JobBlocked) as none:
        await order(story)
    with pytest.raises(JobBlocked) as named:
        await order(story, original(story, "Orders").workflow_id)
    with pytest.raises(NotFound):
        await order(story, "nobody")

    assert (none.value.code, named.value.code) == ("original_not_retired", "original_not_retired")


async def test_a_date_that_is_too_early_is_refused_with_the_first_that_is_not() -> None:
    """Seven days and a quiet period after the retirement, and never in the past."""
    story = Story()
    story.build.http_flow("Orders")
    story.build.link()
    await story.opt_in()
    await story.order()
    await story.approve(run=timedelta(0))
    job = await story.until("Orders", FlowJobState.RETIRED, days=60)
    (candidate,) = (await show_deletions(story.services, story.remediation.id)).candidates

    with pytest.raises(JobBlocked) as early:
        await order(story, within=6 * DAY)
    await order(story, within=candidate.earliest - story.world.clock.now())
    with pytest.raises(JobBlocked) as past:
        await order(story, within=-DAY)

    assert candidate.earliest == job.history[-1].at + 7 * DAY
    assert f"{candidate.earliest:%Y-%m-%d}" in early.value.instruction
    assert (early.value.code, past.value.code) == (
        "deletion_date_too_early",
        "deletion_date_too_early",
    )


async def test_an_order_is_for_all_that_are_named_or_for_none() -> None:
    """One of two flows is excluded: neither is scheduled."""
    story = await retired_story(lambda s: (s.build.http_flow("A"), s.build.http_flow("B")))
    excluded = original(story, "B").workflow_id
    await story.opt_in(excluded_flows=frozenset({excluded}))

    with pytest.raises(JobBlocked) as refusal:
        await order(story)

    assert refusal.value.code == "flow_excluded"
    assert await deletions(story) == {}


async def test_in_mode_assess_nothing_is_ordered_or_deleted() -> None:
    """The order is refused; one that stood is blocked on its date."""
    story = await retired_story()
    await order(story)
    settings = EnvironmentSettings(
        environment_id=story.build.environment.id, mode=ApprovalPolicy.READ_ONLY
    )
    await story.services.tables.environment_settings.upsert(settings)

    with pytest.raises(JobBlocked) as refusal:
        await order(story)
    await at_its_date(story)

    assert refusal.value.code == "environment_read_only"
    assert (await deletions(story))["Orders"].code == "environment_read_only"
    assert deletes(story) == []


async def test_what_is_deleted_cannot_be_ordered_again() -> None:
    """By its name it is refused; of the rest nothing is left."""
    story = await retired_story()
    await order(story)
    await at_its_date(story)

    with pytest.raises(JobBlocked) as named:
        await order(story, original(story, "Orders").workflow_id)
    with pytest.raises(JobBlocked) as rest:
        await order(story)

    assert (named.value.code, rest.value.code) == (
        "original_already_deleted",
        "original_not_retired",
    )


async def test_what_may_be_ordered_says_what_it_ends() -> None:
    """Of each original that stands, dated or not: from when on, what it ends, where it is kept."""
    story = await retired_story()

    (candidate,) = (await show_deletions(story.services, story.remediation.id)).candidates
    await order(story)
    after = await show_deletions(story.services, story.remediation.id)

    assert candidate.display_name == "Orders"
    assert any("trigger URL" in sentence for sentence in candidate.ends)
    assert candidate.archive
    assert (len(after.deletions), after.candidates) == (1, (candidate,))


# --- what it waits for ---------------------------------------------------------------------------


async def test_nothing_is_deleted_before_all_run_summaries_are_archived() -> None:
    """More runs than one turn reads: the original stands until a later turn has the last."""
    story = await retired_story()
    orders = original(story, "Orders")
    ran(story, orders, 1_500, Runs(apart=timedelta(minutes=20)))
    await order(story)
    await story.run(DAY + MINUTE)

    await delete_originals(story.services)
    half, stood = len(kept_runs(story)), not orders.is_deleted
    await turns(story)

    assert stood
    assert half < len(kept_runs(story)) == len(set(kept_runs(story)))
    assert len(kept_runs(story)) == 1_500
    assert orders.is_deleted


async def test_an_archive_made_earlier_is_continued() -> None:
    """Runs since then are added in a part of their own; none is kept twice."""
    story = await retired_story()
    orders = original(story, "Orders")
    ran(story, orders, 3)
    await archive_runs(story.services, story.remediation.id)
    await story.run(DAY)
    ran(story, orders, 2, Runs(name="late"))
    await order(story)

    await at_its_date(story)

    (archive,) = await story.services.tables.run_archives.all(orders.environment_id)
    assert (archive.state, archive.runs, len(archive.parts)) == (RunArchiveState.COMPLETED, 5, 2)
    assert sorted(kept_runs(story)) == [
        "late-00000",
        "late-00001",
        *(f"run-0000{n}" for n in "012"),
    ]
    assert orders.is_deleted


async def test_with_the_kill_switch_on_nothing_is_deleted_and_then_it_is() -> None:
    """The delete waits and says why; turned off, it is made."""
    story = await retired_story()
    await order(story)
    await set_kill_switch(story.services, is_on=True, by="tests", reason="audit")

    await at_its_date(story)
    held, written = (await deletions(story))["Orders"], deletes(story)
    await set_kill_switch(story.services, is_on=False, by="tests", reason="over")
    await turns(story)

    assert (held.state, written) == (DeletionState.SCHEDULED, [])
    assert "kill switch" in held.reason
    assert (await deletions(story))["Orders"].state is DeletionState.DELETED


async def test_a_delete_waits_for_the_maintenance_window() -> None:
    """Its date comes outside of it: nothing happens before it opens."""
    story = await retired_story()
    opens = story.world.clock.now() + timedelta(hours=30)
    await story.opt_in(maintenance_window=f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")
    await order(story)

    await at_its_date(story)
    waiting = deletes(story)
    await story.run(opens - story.world.clock.now() + MINUTE)
    await turns(story)

    assert waiting == []
    assert (await deletions(story))["Orders"].state is DeletionState.DELETED


async def test_a_run_that_still_goes_is_not_ended() -> None:
    """The delete waits until it is over, and archives it with its end."""
    story = await retired_story()
    orders = original(story, "Orders")
    ran(story, orders, 1, Runs(ago=MINUTE, lasts=3 * DAY))
    await order(story)

    await at_its_date(story)
    held = (await deletions(story))["Orders"]
    await story.run(2 * DAY)
    await turns(story)

    assert "still going" in held.reason
    assert not any(run.error for run in orders.runs)
    assert '"ended": null' not in str(story.twins.archive.contents)
    assert orders.is_deleted


async def test_a_delete_pauses_while_the_environment_is_off_its_policy() -> None:
    """Somebody unlinks it: no write is made there, and the row says why."""
    story = await retired_story()
    await order(story)
    story.build.unlink()

    await at_its_date(story)

    row = (await deletions(story))["Orders"]
    assert (row.state, row.reason) == (
        DeletionState.SCHEDULED,
        "The environment's policy is Unlinking.",
    )
    assert deletes(story) == []


# --- what becomes of it --------------------------------------------------------------------------


async def test_a_cancelled_delete_is_never_made() -> None:
    """The original is kept, by whom is noted, and it may be ordered anew."""
    story = await retired_story()
    await order(story)

    count = await cancel_deletions(story.services, story.remediation.id, (), by="keeper")
    await at_its_date(story)

    row = (await deletions(story))["Orders"]
    assert (count, row.state, deletes(story)) == (1, DeletionState.CANCELLED, [])
    assert "keeper" in row.reason
    assert len((await show_deletions(story.services, story.remediation.id)).candidates) == 1


async def test_a_rollback_cancels_the_delete_of_its_original() -> None:
    """Retired once more by a later remediation, the flow needs another approval."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story, within=300 * DAY)

    await story.roll_back()
    cancelled = (await deletions(story))["Orders"]
    await story.order(RemediationMode.APPLY, orders.workflow_id, cause="again")
    await story.approve()
    again = await story.job("Orders")
    await story.run(300 * DAY)
    await turns(story)

    assert cancelled.state is DeletionState.CANCELLED
    assert again.state is FlowJobState.RETIRED
    assert deletes(story) == []


async def test_the_list_of_flows_on_microsofts_key_is_looked_at_again_while_it_names_it() -> None:
    """It is asked daily until the flow has left it, and then no more."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story)
    await story.run(DAY + MINUTE)
    await delete_originals(story.services)
    orders.is_deleted = False  # the list lags behind

    await delete_originals(story.services)
    listed = (await deletions(story))["Orders"]
    orders.is_deleted = True
    await story.run(DAY + MINUTE)
    await delete_originals(story.services)
    left = (await deletions(story))["Orders"]

    assert listed.is_listed
    assert listed.due is not None
    assert (left.is_listed, left.due) == (False, None)


async def test_the_sweep_takes_a_deleted_original_as_settled() -> None:
    """It is no retired original that came back, and no flow to be copied."""
    story = await retired_story()
    await order(story)
    await at_its_date(story)

    result = await run_daily_check(story.services, "2030-01-01")
    await story.run(DAY)

    assert result.retired_originals_on == ()
    assert len(await story.jobs()) == 1
