from datetime import timedelta

import pytest

from shared.domain.environment import ApprovalPolicy
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
from tests.functional.deleting.deletion_scenario import (
    BY,
    DAY,
    MINUTE,
    Runs,
    add_runs,
    build_retired_scenario,
    find_original,
    list_archived_runs,
    list_deleted_flows,
    read_deletions,
    request_deletions,
    run_on_default_date,
    run_timers,
)
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

# --- what is ordered -----------------------------------------------------------------------------


async def test_original_is_deleted_on_its_date() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario, within=2 * DAY)

    await scenario.run(DAY)
    await run_timers(scenario)
    stood = not orders.is_deleted
    await run_on_default_date(scenario)

    row, job = (await read_deletions(scenario))["Orders"], await scenario.read_job("Orders")
    assert stood
    assert (row.state, row.approved_by, row.is_on_microsoft_key_list) == (
        DeletionState.DELETED,
        BY,
        False,
    )
    assert list_deleted_flows(scenario) == [orders.workflow_id]
    assert job.state is FlowJobState.RETIRED
    assert BY in job.history[-1].message
    assert row.restorable_until is not None
    assert scenario.world.get_workflow(orders.environment_id, job.copy.id).is_on


async def test_flow_outside_solutions_is_deleted_by_the_flow_service() -> None:
    """The Dataverse row of such a flow may not be changed."""
    scenario = await build_retired_scenario(
        lambda s: s.build.add_flow(
            "Button", define.build_request_trigger("PowerApp"), in_solution=False
        )
    )
    button = find_original(scenario, "Button")
    await request_deletions(scenario)

    await run_on_default_date(scenario)

    assert button.is_deleted
    assert [w.what for w in scenario.world.writes][-1] == "delete flow"


async def test_only_a_retired_original_can_be_scheduled_for_deletion() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve(run=DAY)

    with pytest.raises(JobBlocked) as none:
        await request_deletions(scenario)
    with pytest.raises(JobBlocked) as named:
        await request_deletions(scenario, find_original(scenario, "Orders").workflow_id)
    with pytest.raises(NotFound):
        await request_deletions(scenario, "nobody")

    assert (none.value.code, named.value.code) == ("original_not_retired", "original_not_retired")


async def test_too_early_date_is_rejected_with_the_first_possible_date() -> None:
    scenario = Scenario()
    scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    job = await scenario.approve_and_run_until("Orders", FlowJobState.RETIRED, days=60)
    (candidate,) = (
        await show_deletions(scenario.services, scenario.remediation.id)
    ).deletable_originals

    with pytest.raises(JobBlocked) as early:
        await request_deletions(scenario, within=6 * DAY)
    await request_deletions(
        scenario, within=candidate.earliest_delete_at - scenario.world.clock.now()
    )
    with pytest.raises(JobBlocked) as past:
        await request_deletions(scenario, within=-DAY)

    assert candidate.earliest_delete_at == job.history[-1].changed_at + 7 * DAY
    assert f"{candidate.earliest_delete_at:%Y-%m-%d}" in early.value.fix
    assert (early.value.code, past.value.code) == (
        "deletion_date_too_early",
        "deletion_date_too_early",
    )


async def test_no_deletion_is_scheduled_if_one_of_the_flows_is_excluded() -> None:
    scenario = await build_retired_scenario(
        lambda s: (s.build.add_http_flow("A"), s.build.add_http_flow("B"))
    )
    excluded = find_original(scenario, "B").workflow_id
    await scenario.opt_in(excluded_flows=frozenset({excluded}))

    with pytest.raises(JobBlocked) as refusal:
        await request_deletions(scenario)

    assert refusal.value.code == "flow_excluded"
    assert await read_deletions(scenario) == {}


async def test_read_only_environment_rejects_and_blocks_deletions() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    await scenario.set_approval_policy(ApprovalPolicy.READ_ONLY)

    with pytest.raises(JobBlocked) as refusal:
        await request_deletions(scenario)
    await run_on_default_date(scenario)

    assert refusal.value.code == "environment_read_only"
    assert (await read_deletions(scenario))["Orders"].reason_code == "environment_read_only"
    assert list_deleted_flows(scenario) == []


async def test_deleted_original_cannot_be_scheduled_again() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    await run_on_default_date(scenario)

    with pytest.raises(JobBlocked) as named:
        await request_deletions(scenario, find_original(scenario, "Orders").workflow_id)
    with pytest.raises(JobBlocked) as rest:
        await request_deletions(scenario)

    assert (named.value.code, rest.value.code) == (
        "original_already_deleted",
        "original_not_retired",
    )


async def test_list_of_possible_deletions_names_their_consequences() -> None:
    scenario = await build_retired_scenario()

    (candidate,) = (
        await show_deletions(scenario.services, scenario.remediation.id)
    ).deletable_originals
    await request_deletions(scenario)
    after = await show_deletions(scenario.services, scenario.remediation.id)

    assert candidate.display_name == "Orders"
    assert any("trigger URL" in sentence for sentence in candidate.consequences)
    assert candidate.archive_name
    assert (len(after.deletions), after.deletable_originals) == (1, (candidate,))


# --- what it waits for ---------------------------------------------------------------------------


async def test_original_is_deleted_after_all_run_summaries_are_archived() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    add_runs(scenario, orders, 1_500, Runs(apart=timedelta(minutes=20)))
    await request_deletions(scenario)
    await scenario.run(DAY + MINUTE)

    await delete_originals(scenario.services)
    half, stood = len(list_archived_runs(scenario)), not orders.is_deleted
    await run_timers(scenario)

    assert stood
    assert half < len(list_archived_runs(scenario)) == len(set(list_archived_runs(scenario)))
    assert len(list_archived_runs(scenario)) == 1_500
    assert orders.is_deleted


async def test_existing_archive_is_continued_before_a_deletion() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    add_runs(scenario, orders, 3)
    await archive_runs(scenario.services, scenario.remediation.id)
    await scenario.run(DAY)
    add_runs(scenario, orders, 2, Runs(name="late"))
    await request_deletions(scenario)

    await run_on_default_date(scenario)

    (archive,) = await scenario.services.tables.run_archives.read_all(orders.environment_id)
    assert (archive.state, archive.runs, len(archive.parts)) == (RunArchiveState.COMPLETED, 5, 2)
    assert sorted(list_archived_runs(scenario)) == [
        "late-00000",
        "late-00001",
        *(f"run-0000{n}" for n in "012"),
    ]
    assert orders.is_deleted


async def test_deletion_waits_while_the_kill_switch_is_on() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="audit")

    await run_on_default_date(scenario)
    held, written = (await read_deletions(scenario))["Orders"], list_deleted_flows(scenario)
    await set_kill_switch(scenario.services, is_on=False, by="tests", reason="over")
    await run_timers(scenario)

    assert (held.state, written) == (DeletionState.SCHEDULED, [])
    assert "kill switch" in held.message
    assert (await read_deletions(scenario))["Orders"].state is DeletionState.DELETED


async def test_deletion_waits_for_the_maintenance_window() -> None:
    scenario = await build_retired_scenario()
    opens = scenario.world.clock.now() + timedelta(hours=30)
    await scenario.opt_in(maintenance_window=f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}")
    await request_deletions(scenario)

    await run_on_default_date(scenario)
    waiting = list_deleted_flows(scenario)
    await scenario.run(opens - scenario.world.clock.now() + MINUTE)
    await run_timers(scenario)

    assert waiting == []
    assert (await read_deletions(scenario))["Orders"].state is DeletionState.DELETED


async def test_deletion_waits_for_the_end_of_a_flow_run() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    add_runs(scenario, orders, 1, Runs(ago=MINUTE, lasts=3 * DAY))
    await request_deletions(scenario)

    await run_on_default_date(scenario)
    held = (await read_deletions(scenario))["Orders"]
    await scenario.run(2 * DAY)
    await run_timers(scenario)

    assert "in progress" in held.message
    assert not any(run.error for run in orders.runs)
    assert '"ended": null' not in str(scenario.fakes.archive.contents)
    assert orders.is_deleted


async def test_deletion_waits_while_no_policy_is_applied() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    scenario.build.unlink()

    await run_on_default_date(scenario)

    row = (await read_deletions(scenario))["Orders"]
    assert (row.state, row.message) == (
        DeletionState.SCHEDULED,
        "The status of the environment's policy is Unlinking.",
    )
    assert list_deleted_flows(scenario) == []


# --- what becomes of it --------------------------------------------------------------------------


async def test_cancelled_deletion_is_not_made() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)

    count = await cancel_deletions(scenario.services, scenario.remediation.id, (), by="keeper")
    await run_on_default_date(scenario)

    row = (await read_deletions(scenario))["Orders"]
    assert (count, row.state, list_deleted_flows(scenario)) == (1, DeletionState.CANCELLED, [])
    assert "keeper" in row.message
    assert (
        len((await show_deletions(scenario.services, scenario.remediation.id)).deletable_originals)
        == 1
    )


async def test_rollback_cancels_the_deletion_of_its_original() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario, within=300 * DAY)

    await scenario.roll_back()
    cancelled = (await read_deletions(scenario))["Orders"]
    await scenario.order(RemediationMode.APPLY, orders.workflow_id, cause="again")
    await scenario.approve()
    again = await scenario.read_job("Orders")
    await scenario.run(300 * DAY)
    await run_timers(scenario)

    assert cancelled.state is DeletionState.CANCELLED
    assert again.state is FlowJobState.RETIRED
    assert list_deleted_flows(scenario) == []


async def test_microsoft_key_list_is_read_again_while_it_names_a_deleted_original() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario)
    await scenario.run(DAY + MINUTE)
    await delete_originals(scenario.services)
    orders.is_deleted = False  # as if the list still named it

    await delete_originals(scenario.services)
    listed = (await read_deletions(scenario))["Orders"]
    orders.is_deleted = True
    await scenario.run(DAY + MINUTE)
    await delete_originals(scenario.services)
    left = (await read_deletions(scenario))["Orders"]

    assert listed.is_on_microsoft_key_list
    assert listed.next_check_at is not None
    assert (left.is_on_microsoft_key_list, left.next_check_at) == (False, None)


async def test_daily_check_ignores_a_deleted_original() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    await run_on_default_date(scenario)

    result = await run_daily_check(scenario.services, "2030-01-01")
    await scenario.run(DAY)

    assert result.retired_originals_on == ()
    assert len(await scenario.read_jobs()) == 1
