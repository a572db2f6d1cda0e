from dataclasses import replace

import pytest

from shared.domain.flow import FlowState
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.pending_actions import PendingActionKind
from shared.use_cases.delete_originals import delete_originals
from shared.use_cases.show_status import read_pending_actions
from tests.fakes import definition_builder as define
from tests.fakes.crash import Plan
from tests.fakes.tenant import FakeFlow
from tests.functional.deleting.deletion_scenario import (
    DAY,
    MINUTE,
    build_retired_scenario,
    find_original,
    list_deleted_flows,
    read_deletions,
    request_deletions,
    run_on_default_date,
    run_timers,
)
from tests.functional.scenarios.remediation_scenario import Scenario


async def reach_blocked_date(scenario: Scenario, code: str) -> Deletion:
    """Run to the date of the deletions, and return the only one that is blocked."""
    await run_on_default_date(scenario)
    (row,) = [one for one in (await read_deletions(scenario)).values() if one.fix]
    assert (row.state, row.reason_code) == (DeletionState.BLOCKED, code), row.message
    assert list_deleted_flows(scenario) == []
    assert (await scenario.read_job(row.display_name)).state is FlowJobState.RETIRED
    return row


async def schedule_again(scenario: Scenario) -> None:
    """Schedule all deletions again and advance to their date."""
    await request_deletions(scenario)
    await run_on_default_date(scenario)


async def test_original_that_is_on_again_is_not_deleted() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario)
    orders.state = FlowState.ON

    await reach_blocked_date(scenario, "retired_original_on")
    orders.state = FlowState.OFF
    await schedule_again(scenario)

    assert orders.is_deleted


async def test_blocked_deletion_is_a_required_action_until_it_is_scheduled_again() -> None:
    scenario = await build_retired_scenario(_build_orders_and_returns)
    await request_deletions(scenario)
    for name in ("Orders", "Returns"):
        find_original(scenario, name).state = FlowState.ON
    await run_on_default_date(scenario)

    (action,) = (await read_pending_actions(scenario.services)).items
    for name in ("Orders", "Returns"):
        find_original(scenario, name).state = FlowState.OFF
    await request_deletions(scenario)
    after = await read_pending_actions(scenario.services)

    assert action.kind is PendingActionKind.DELETION_BLOCKED
    assert action.title == "2 deletions of retired originals blocked: an original is on again"
    assert action.flows == ("Orders", "Returns")
    assert action.fix.endswith("schedule the deletion again.")
    assert action.next_command == f"cmkflow deletion list {scenario.remediation.id}"
    assert after.items == ()


def _build_orders_and_returns(scenario: Scenario) -> None:
    scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow("Returns")


async def test_edited_original_is_deleted_after_it_is_scheduled_again() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario)
    _edit_flow(orders)

    await reach_blocked_date(scenario, "original_edited")
    await schedule_again(scenario)

    assert orders.is_deleted
    row = (await read_deletions(scenario))["Orders"]
    kept = scenario.fakes.archive.contents[row.archived_definition.removeprefix("memory:")]
    assert kept.decode() == orders.client_data


def _edit_flow(flow: FakeFlow) -> None:
    flow.client_data = flow.client_data.replace('"actions": {', '"actions": {"New": {}, ', 1)
    flow.client_data = flow.client_data.replace('"actions":{', '"actions":{"New":{},', 1)
    flow.version += 1


@pytest.mark.parametrize("what", ["off", "gone"])
async def test_original_without_a_working_copy_is_not_deleted(what: str) -> None:
    scenario = await build_retired_scenario()
    job = await scenario.read_job("Orders")
    copy = scenario.world.get_workflow(job.environment_id, job.copy.id)
    await request_deletions(scenario)
    copy.state, copy.is_deleted = FlowState.OFF, what == "gone"

    row = await reach_blocked_date(scenario, "copy_changed")

    assert what in row.message


async def test_original_that_was_off_is_deleted_although_its_copy_is_off() -> None:
    scenario = await build_retired_scenario(lambda s: s.build.add_off_flow("Idle"))
    await request_deletions(scenario)

    await run_on_default_date(scenario)

    assert find_original(scenario, "Idle").is_deleted


async def test_deletion_is_blocked_by_a_caller_with_the_old_url() -> None:
    scenario = Scenario()
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old = scenario.build.get_trigger_url(orders)
    scenario = await build_retired_scenario(scenario=scenario)
    new = site.settings["FLOW_URL"]
    await request_deletions(scenario)
    site.settings["FLOW_URL"] = old

    row = await reach_blocked_date(scenario, "manual_caller")
    site.settings["FLOW_URL"] = new
    await schedule_again(scenario)

    assert "FLOW_URL" in row.message
    assert "sig=" not in row.message
    assert orders.is_deleted


async def test_deletion_is_blocked_by_a_new_caller() -> None:
    scenario = await build_retired_scenario()
    orders = find_original(scenario, "Orders")
    await request_deletions(scenario)
    scenario.build.add_app_setting_caller(orders, site="new-app")

    row = await reach_blocked_date(scenario, "manual_caller")

    assert "new-app" in row.message


async def test_deletions_on_one_day_share_a_caller_search() -> None:
    scenario = await build_retired_scenario(lambda s: s.build.add_family("Billing"))
    await request_deletions(scenario)
    plan = Plan(trace=[])
    await scenario.run(DAY + MINUTE)
    await run_timers(scenario, scenario.make(scenario.fakes.ports.wrap_with_plan(plan)))

    assert len(list_deleted_flows(scenario)) == 3
    assert plan.trace is not None
    assert plan.trace.count("FakeSecrets.list") <= 1
    assert plan.trace.count("FakeEnvironments.list") == 1


async def test_original_of_a_managed_solution_is_not_deleted() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    find_original(scenario, "Orders").is_managed = True

    await reach_blocked_date(scenario, "managed_solution")


async def test_original_excluded_after_scheduling_is_not_deleted() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    await scenario.opt_in(excluded_flows=frozenset({find_original(scenario, "Orders").workflow_id}))

    await reach_blocked_date(scenario, "flow_excluded")


async def test_deletion_is_blocked_if_the_archive_returns_another_definition() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    job = await scenario.read_job("Orders")
    scenario.fakes.archive.contents[job.archive_name.removeprefix("memory:")] = b"{}"

    await reach_blocked_date(scenario, "archive_failed")


async def test_deletion_by_another_person_is_recorded() -> None:
    scenario = await build_retired_scenario()
    await request_deletions(scenario)
    find_original(scenario, "Orders").is_deleted = True

    await run_on_default_date(scenario)

    row = (await read_deletions(scenario))["Orders"]
    assert (row.state, row.restorable_until) == (DeletionState.DELETED, None)
    assert "somebody else" in row.history[-1].message
    assert list_deleted_flows(scenario) == []


# --- families ------------------------------------------------------------------------------------


async def test_parents_are_deleted_before_their_children() -> None:
    scenario = await build_retired_scenario(lambda s: s.build.add_family("Billing"))
    titles = ("Billing grandparent", "Billing parent", "Billing child")
    await request_deletions(scenario)

    await run_on_default_date(scenario)

    rows = await read_deletions(scenario)
    assert {row.state for row in rows.values()} == {DeletionState.DELETED}, rows
    assert list_deleted_flows(scenario) == [
        find_original(scenario, title).workflow_id for title in titles
    ]


async def test_deletion_of_a_child_is_blocked_by_its_parent() -> None:
    scenario = await build_retired_scenario(lambda s: s.build.add_family("Billing"))
    child = find_original(scenario, "Billing child")
    await request_deletions(scenario, child.workflow_id)

    row = await reach_blocked_date(scenario, "parent_flow_not_ready")

    assert "Billing parent" in row.fix


async def test_edited_parent_does_not_block_the_deletion_of_a_former_child() -> None:
    scenario = await build_retired_scenario(lambda s: s.build.add_family("Billing"))
    child, parent = (
        find_original(scenario, "Billing child"),
        find_original(scenario, "Billing parent"),
    )
    parent.client_data = scenario.build.add_http_flow("Other").client_data
    await request_deletions(scenario, child.workflow_id)

    await run_on_default_date(scenario)

    assert child.is_deleted


async def test_flows_that_call_one_another_are_deleted_together_by_url() -> None:
    scenario = Scenario()
    first = scenario.build.add_http_flow("First")
    second = scenario.build.add_http_flow(
        "Second", {"Call": define.build_http_action(scenario.build.get_trigger_url(first))}
    )
    first.client_data = scenario.build.add_http_flow(
        "Draft", {"Call": define.build_http_action(scenario.build.get_trigger_url(second))}
    ).client_data
    draft = next(f for f in scenario.build.environment.flows.values() if f.name == "Draft")
    del scenario.build.environment.flows[draft.workflow_id]
    scenario = await build_retired_scenario(scenario=scenario)
    await request_deletions(scenario)

    await run_on_default_date(scenario)
    await scenario.run(DAY)
    await run_timers(scenario)

    rows = await read_deletions(scenario)
    assert {row.state for row in rows.values()} == {DeletionState.DELETED}, rows


async def test_one_read_of_the_list_confirms_several_deletions() -> None:
    def build(scenario: Scenario) -> None:
        for title in ("Bills", "Invoices", "Orders"):
            scenario.build.add_http_flow(title)

    scenario = await build_retired_scenario(build)
    await request_deletions(scenario)
    await run_on_default_date(scenario)
    table = scenario.services.tables.deletions
    async for kept in table.query(scenario.build.environment.id):
        await table.replace(
            kept,
            replace(kept.item, is_on_microsoft_key_list=None, next_check_at=kept.item.deleted_at),
        )
    calls: list[str] = []
    services = scenario.services
    read = services.flow_reports.read_microsoft_key_flows

    async def count_and_read(
        environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> object:
        calls.append(environment_id)
        return await read(environment_id, cursor, cannot_migrate_only=cannot_migrate_only)

    services.flow_reports.read_microsoft_key_flows = count_and_read  # type: ignore[assignment, method-assign]
    await delete_originals(services)

    assert [row.is_on_microsoft_key_list for row in (await read_deletions(scenario)).values()] == [
        False
    ] * 3
    assert len(calls) == 1
