from contextlib import suppress
from copy import deepcopy

import pytest

from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import Conflict, ServiceUnavailable
from shared.reason import Reason
from shared.use_cases import change_remediation
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.run_flow_job import run_flow_job_step
from shared.use_cases.schedule_deletions import cancel_deletions
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes import definition_builder as define
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.snapshot import find_differences, take_snapshot
from tests.fakes.world import World
from tests.functional.deleting.deletion_scenario import (
    DAY,
    MINUTE,
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
from tests.functional.scenarios.disturbance import disturb
from tests.functional.scenarios.remediation_scenario import Scenario, edit, plan_and_approve

RUNS = 130
#: More requests than the deletion of an original makes.
CALLS = 160


def watch_deletions(scenario: Scenario) -> Scenario:
    """At each deletion, require that all runs and the definition are archived and a row says
    `deleting`.
    """

    def look(world: World) -> list[str]:
        latest = world.writes[-1].what
        if not latest.startswith("delete "):
            return []
        kept, states = list_archived_runs(scenario), str(list(scenario.fakes.store.rows.values()))
        return [
            text
            for text, is_wrong in (
                ("runs are missing", len(set(kept)) != RUNS or len(kept) != RUNS),
                ("the definition is missing", not _has_definition(scenario)),
                ("no intent was noted", '"state":"deleting"' not in states),
            )
            if is_wrong
        ]

    scenario.world.watchers.append(look)
    return scenario


def _has_definition(scenario: Scenario) -> bool:
    orders = find_original(scenario, "Orders")
    texts = [content.decode() for content in scenario.fakes.archive.contents.values()]
    return orders.client_data in texts


async def build_due_scenario() -> Scenario:
    scenario = watch_deletions(await build_retired_scenario())
    add_runs(scenario, find_original(scenario, "Orders"), RUNS)
    await request_deletions(scenario)
    await scenario.run(DAY + MINUTE)
    scenario.renew()
    return scenario


async def test_deletion_makes_fewer_requests_than_are_interrupted() -> None:
    """The next test interrupts the first `CALLS` requests."""
    scenario = await build_due_scenario()
    plan = Plan()
    services = scenario.make(scenario.fakes.ports.wrap_with_plan(plan))

    await run_timers(scenario, services)

    assert (await read_deletions(scenario))["Orders"].state is DeletionState.DELETED
    assert 30 < plan.calls < CALLS


@pytest.mark.parametrize("failure", [Killed, ServiceUnavailable])
@pytest.mark.parametrize("moment", Moment)
async def test_deletion_completes_after_a_failure_at_any_request(
    moment: Moment, failure: type[BaseException]
) -> None:
    due, struck = await build_due_scenario(), 0
    for number in range(1, CALLS, 1 if failure is Killed else 3):
        scenario = deepcopy(due)
        scenario.world.watchers.clear()  # without the checks of `build_due_scenario`
        watch_deletions(scenario)
        plan = Plan(at=number, moment=moment, failure=failure)
        with suppress(Killed, ServiceUnavailable):
            await delete_originals(scenario.make(scenario.fakes.ports.wrap_with_plan(plan)))

        await scenario.run(5 * MINUTE)
        await run_timers(scenario)

        row = (await read_deletions(scenario))["Orders"]
        assert row.state is DeletionState.DELETED, (number, row)
        assert row.restorable_until is not None
        assert list_deleted_flows(scenario) == [find_original(scenario, "Orders").workflow_id]
        assert scenario.world.violations == []
        job = await scenario.read_job("Orders")
        assert (job.state, job.leased_until) == (FlowJobState.RETIRED, None), number
        assert [change.message for change in job.history].count(job.history[-1].message) == 1
        if not plan.has_struck:
            break
        struck += 1
    assert struck > 15


async def test_concurrent_timers_delete_once() -> None:
    scenario = await build_due_scenario()

    async def delete_again() -> None:
        await delete_originals(scenario_services)

    scenario_services = scenario.services
    disturb(scenario, "workflows", "delete", delete_again)
    await run_timers(scenario, scenario.make(scenario.fakes.ports))

    assert len(list_deleted_flows(scenario)) == 1
    assert (await read_deletions(scenario))["Orders"].state is DeletionState.DELETED


async def test_deletion_cancelled_during_its_checks_is_not_made() -> None:
    scenario = await build_due_scenario()

    async def cancel() -> None:
        await cancel_deletions(scenario.services, scenario.remediation.id, (), by="keeper")

    disturb(scenario, "workflows", "get", cancel)
    await run_timers(scenario, scenario.make(scenario.fakes.ports))

    assert (await read_deletions(scenario))["Orders"].state is DeletionState.CANCELLED
    assert list_deleted_flows(scenario) == []
    assert (await scenario.read_job("Orders")).leased_until is None


async def test_rollback_during_the_checks_cancels_the_deletion() -> None:
    scenario = await build_due_scenario()
    orders = find_original(scenario, "Orders")

    async def roll_back() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)

    disturb(scenario, "flow_reports", "read_run_page", roll_back)
    await run_timers(scenario, scenario.make(scenario.fakes.ports))
    await scenario.run(60 * DAY)

    assert list_deleted_flows(scenario) == []
    assert (await read_deletions(scenario))["Orders"].state is DeletionState.CANCELLED
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on


async def test_kill_switch_during_the_checks_stops_the_deletion() -> None:
    scenario = await build_due_scenario()

    async def stop() -> None:
        await set_kill_switch(scenario.services, is_on=True, by="tests", reason="audit")

    disturb(scenario, "workflows", "get", stop)
    await run_timers(scenario, scenario.make(scenario.fakes.ports))

    assert list_deleted_flows(scenario) == []
    assert "kill switch" in (await read_deletions(scenario))["Orders"].message


async def test_original_edited_during_the_checks_is_not_deleted() -> None:
    scenario = await build_due_scenario()
    orders = find_original(scenario, "Orders")

    async def edit() -> None:
        orders.version += 1
        orders.client_data = orders.client_data.replace("Orders", "Edited")

    disturb(scenario, "workflows", "delete", edit)
    await delete_originals(scenario.make(scenario.fakes.ports))

    assert list_deleted_flows(scenario) == []
    assert not orders.is_deleted


async def test_flow_outside_solutions_edited_during_its_archive_is_not_deleted() -> None:
    """The flow service does not check the version."""
    scenario = await build_retired_scenario(
        lambda s: s.build.add_flow(
            "Button", define.build_request_trigger("PowerApp"), in_solution=False
        )
    )
    await request_deletions(scenario)
    await scenario.run(DAY + MINUTE)
    button = find_original(scenario, "Button")

    async def edit_button() -> None:
        edit(button)

    disturb(scenario, "archive", "get", edit_button)
    await delete_originals(scenario.make(scenario.fakes.ports))
    first = (await read_deletions(scenario))["Button"]
    await run_timers(scenario)

    row = (await read_deletions(scenario))["Button"]
    assert first.state is DeletionState.DELETING
    assert (row.state, row.reason_code) == (DeletionState.BLOCKED, Reason.ORIGINAL_EDITED)
    assert list_deleted_flows(scenario) == []


async def test_deletion_whose_request_failed_can_be_cancelled() -> None:
    scenario = await build_due_scenario()

    async def fail() -> None:
        raise ServiceUnavailable("no answer")

    disturb(scenario, "workflows", "delete", fail)
    await delete_originals(scenario.make(scenario.fakes.ports))
    noted = (await read_deletions(scenario))["Orders"]
    with pytest.raises(Conflict):
        await cancel_deletions(scenario.services, scenario.remediation.id, (), by="keeper")
    await set_kill_switch(scenario.services, is_on=True, by="tests", reason="audit")
    await scenario.run(5 * MINUTE)
    await delete_originals(scenario.services)
    waiting = (await read_deletions(scenario))["Orders"]
    await cancel_deletions(scenario.services, scenario.remediation.id, (), by="keeper")

    row = (await read_deletions(scenario))["Orders"]
    assert noted.state is DeletionState.DELETING
    assert (waiting.state, list_deleted_flows(scenario)) == (DeletionState.ARCHIVING, [])
    assert "kill switch" in waiting.message
    assert (row.state, row.restorable_until) == (DeletionState.CANCELLED, None)


# --- undone --------------------------------------------------------------------------------------


async def test_rollback_restores_a_deleted_flow_outside_solutions() -> None:
    scenario = Scenario()
    scenario.build.add_flow("Button", define.build_http_trigger(), in_solution=False)
    button = find_original(scenario, "Button")
    scenario.build.add_app_setting_caller(button)
    scenario.build.apply_key()
    before = take_snapshot(scenario.world)
    await scenario.run_remediation()
    await request_deletions(scenario)
    await run_on_default_date(scenario)
    was_deleted = button.is_deleted

    await scenario.roll_back()

    assert was_deleted
    job = await scenario.read_job("Button")
    assert job.state is FlowJobState.ROLLED_BACK, (job.message, job.history)
    assert find_differences(before, scenario.world) == []
    assert (await read_deletions(scenario))["Button"].state is DeletionState.CANCELLED


async def test_rollback_of_a_deleted_solution_flow_waits_for_a_person() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario)
    await run_on_default_date(scenario)
    until = (await read_deletions(scenario))["Orders"].restorable_until
    assert until is not None

    await scenario.roll_back(run=DAY)
    blocked = await scenario.read_job("Orders")
    orders.is_deleted, orders.deleted_at = False, None
    await scenario.retry()

    assert (blocked.state, blocked.reason_code) == (
        FlowJobState.BLOCKED,
        "original_already_deleted",
    )
    assert f"{until:%Y-%m-%d}" in blocked.fix
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert orders.is_on


async def test_rollback_after_the_last_day_for_a_restore_changes_nothing() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    await run_on_default_date(scenario)
    await scenario.run(22 * DAY)
    writes = len(scenario.world.writes)

    await scenario.roll_back()

    job = await scenario.read_job("Orders")
    assert (job.state, job.requested_command) == (FlowJobState.RETIRED, None)
    assert "can no longer be restored" in job.history[-1].message
    assert scenario.world.writes[writes:] == []
    assert scenario.world.get_workflow(job.environment_id, job.copy.id).is_on


@pytest.mark.parametrize("moment", Moment)
async def test_rollback_after_a_deletion_completes_after_a_kill(moment: Moment) -> None:
    deleted = Scenario()
    deleted.build.add_flow("Button", define.build_http_trigger(), in_solution=False)
    await plan_and_approve(deleted)
    await request_deletions(deleted)
    await run_on_default_date(deleted)
    deleted.renew()
    for number in range(1, 20):
        scenario = deepcopy(deleted)
        button = find_original(scenario, "Button")
        scenario.driver.plan = Plan(at=number, moment=moment)
        scenario.renew()

        with suppress(Killed):
            await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        await scenario.run(30 * DAY)

        assert (await scenario.read_job("Button")).state is FlowJobState.ROLLED_BACK, number
        assert button.is_on
        restores = [write for write in scenario.world.writes if write.what == "restore flow"]
        assert len(restores) == 1


async def test_rollback_waits_for_a_deletion_in_flight() -> None:
    """The deletion in flight could delete the restored original."""
    scenario = Scenario()
    scenario.build.add_flow("Button", define.build_http_trigger(), in_solution=False)
    button = find_original(scenario, "Button")
    await plan_and_approve(scenario)
    await request_deletions(scenario)
    was_on = []

    async def roll_back_meanwhile() -> None:
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        job = await scenario.read_job("Button")
        for _ in range(6):
            scenario.world.clock.advance(MINUTE)
            await run_flow_job_step(scenario.services, job.environment_id, job.id)
        was_on.append(button.is_on)

    disturb(scenario, "flow_switch", "delete", roll_back_meanwhile)
    await scenario.run(DAY + MINUTE)
    await run_timers(scenario, scenario.make(scenario.fakes.ports))
    await scenario.run(30 * DAY)

    assert was_on == [False]
    assert (await scenario.read_job("Button")).state is FlowJobState.ROLLED_BACK
    assert button.is_on


async def test_rollback_of_partly_deleted_dependent_flows_waits_for_their_restore() -> None:
    scenario = await build_retired_scenario(lambda s: s.build.add_family("Billing"))
    titles = ("Billing grandparent", "Billing parent")
    await request_deletions(
        scenario, *(find_original(scenario, title).workflow_id for title in titles)
    )
    await run_on_default_date(scenario)

    await scenario.roll_back(run=30 * DAY)
    child = await scenario.read_job("Billing child")
    deliveries = scenario.driver.deliveries
    await scenario.run(10 * DAY)
    in_vain = scenario.driver.deliveries - deliveries
    for title in titles:
        find_original(scenario, title).is_deleted = False
    await scenario.driver.call(lambda s: change_remediation.retry(s, scenario.remediation.id))
    await scenario.run(60 * DAY)

    assert (child.state, child.reason_code, in_vain) == (
        FlowJobState.BLOCKED,
        "parent_flow_not_ready",
        0,
    )
    jobs = await scenario.read_jobs()
    assert {job.state for job in jobs.values()} == {FlowJobState.ROLLED_BACK}, jobs
