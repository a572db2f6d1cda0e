from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.callers.caller_records import CallerState
from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import DeclaredCallerNotFound, FlowNotFound, JobBlocked
from shared.use_cases.confirm_caller import confirm_caller
from shared.use_cases.declare_callers import (
    declare_callers,
    list_declared_callers,
    remove_declared_caller,
)
from shared.use_cases.run_daily_check import run_daily_check
from tests.fakes.run_jobs import call_url
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import (
    Scenario,
    plan_and_approve,
    plan_remediation,
)

DAY = timedelta(days=1)


def build_till(*flows: CalledFlow, name: str = "Till") -> DeclaredCaller:
    return DeclaredCaller(name=name, owner="Alex", contact="+49 30 1234", flows=flows)


def build_called_flow_by_name(flow: FakeFlow) -> CalledFlow:
    return CalledFlow(environment_id=flow.environment_id, flow_id=flow.name)


def build_called_flow_by_url(flow: FakeFlow) -> CalledFlow:
    return CalledFlow(trigger_url_id=flow.trigger_url_id)


@pytest.mark.parametrize("named", [build_called_flow_by_name, build_called_flow_by_url])
async def test_an_original_stays_on_until_its_caller_is_confirmed(named: object) -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    await declare_callers(scenario.services, [build_till(named(original))])  # type: ignore[operator]  # one of the two above

    await plan_and_approve(scenario)
    await scenario.run(30 * DAY)
    blocked = await scenario.read_job("Orders")
    was_on = original.is_on
    confirmed = await confirm_caller(scenario.services, "till", "ORDERS", by="Anna")
    await scenario.run(30 * DAY)

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "declared caller Till of Alex" in blocked.message
    assert "+49 30 1234" in blocked.fix
    assert was_on
    assert (confirmed.calls_copy, confirmed.retried_count) == (True, 1)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert not original.is_on


async def test_a_manual_caller_is_pending_only_until_a_person_has_changed_it() -> None:
    scenario = Scenario()
    await declare_callers(
        scenario.services,
        [build_till(build_called_flow_by_name(scenario.build.add_http_flow("Orders")))],
    )
    await plan_and_approve(scenario)
    job = await scenario.read_job("Orders")

    async def read_state() -> CallerState:
        [record] = await scenario.services.tables.callers.read_all(job.id)
        assert record.is_pending is (record.state is CallerState.MANUAL)
        return record.state

    before = await read_state()
    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await scenario.run(30 * DAY)
    changed = await read_state()
    await scenario.roll_back()
    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await scenario.run(30 * DAY)

    assert (before, changed) == (CallerState.MANUAL, CallerState.CHANGED)
    assert await read_state() is CallerState.REVERTED


async def test_a_confirmation_before_the_job_is_blocked_counts_too() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    scenario.build.add_app_setting_caller(original)
    await declare_callers(scenario.services, [build_till(build_called_flow_by_name(original))])
    await plan_remediation(scenario)
    job = await scenario.approve_and_run_until("Orders", FlowJobState.VERIFIED)
    confirmed = await confirm_caller(scenario.services, "Till", job.original.id, by="Anna")

    await scenario.run(30 * DAY)

    assert (confirmed.calls_copy, confirmed.retried_count) == (True, 0)
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_a_rollback_waits_for_the_owner_before_it_stops_the_copy() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    await declare_callers(scenario.services, [build_till(build_called_flow_by_name(original))])
    await plan_and_approve(scenario)
    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await scenario.run(30 * DAY)
    copy_id = (await scenario.read_job("Orders")).copy.id

    await scenario.roll_back()
    blocked = await scenario.read_job("Orders")
    copy_was_on = scenario.world.get_workflow(original.environment_id, copy_id).is_on
    confirmed = await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await scenario.run(30 * DAY)

    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "call the original again" in blocked.fix
    assert copy_was_on
    assert not confirmed.calls_copy
    assert original.is_on
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK
    assert not scenario.world.get_workflow(original.environment_id, copy_id).is_on


async def test_a_confirmation_may_be_repeated_and_is_kept_by_the_next_declaration() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    till = build_till(build_called_flow_by_name(original))
    await declare_callers(scenario.services, [till])
    await plan_and_approve(scenario)
    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    [before] = await list_declared_callers(scenario.services)

    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    await declare_callers(scenario.services, [replace(till, owner="Sam")])

    [after] = await list_declared_callers(scenario.services)
    assert after == replace(before, owner="Sam")
    assert after.flows[0].current_flow_id == (await scenario.read_job("Orders")).copy.id


async def test_the_next_copy_is_confirmed_like_the_first() -> None:
    """After another key change, the first copy is an original."""
    scenario = Scenario()
    await declare_callers(
        scenario.services,
        [build_till(build_called_flow_by_name(scenario.build.add_http_flow("Orders")))],
    )
    await plan_and_approve(scenario)
    await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    first = await scenario.read_job("Orders")
    second = replace(
        first,
        id="second",
        original=replace(first.original, id=first.copy.id),
        copy=replace(first.copy, id="copy-of-copy"),
        policy_id="next",
    )
    await scenario.services.tables.flow_jobs.upsert(second)

    confirmed = await confirm_caller(scenario.services, "Till", "Orders", by="Anna")

    assert confirmed.caller.flows[0].current_flow_id == "copy-of-copy"
    assert confirmed.caller.flows[0].flow_id == first.original.id


async def test_the_daily_check_continues_a_job_whose_caller_was_confirmed() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    [till] = await declare_callers(
        scenario.services, [build_till(build_called_flow_by_name(original))]
    )
    await plan_and_approve(scenario)
    job = await scenario.read_job("Orders")
    moved = replace(till.flows[0], confirmed_flow_id=job.copy.id)
    await scenario.services.tables.declared_callers.upsert(replace(till, flows=(moved,)))

    await scenario.driver.call(lambda services: run_daily_check(services, "day-1"))
    await scenario.run(30 * DAY)

    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_a_caller_that_is_declared_later_still_stops_the_job() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    await plan_remediation(scenario)
    await scenario.approve_and_run_until("Orders", FlowJobState.CHECKING_FOR_CALLS)
    await declare_callers(scenario.services, [build_till(build_called_flow_by_url(original))])

    await scenario.run(30 * DAY)

    assert (await scenario.read_job("Orders")).reason_code == "manual_caller"
    assert original.is_on


async def test_the_plan_names_a_declared_caller() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    await declare_callers(scenario.services, [build_till(build_called_flow_by_name(original))])
    await plan_remediation(scenario)

    [caller] = (await scenario.plan())["Orders"].callers

    assert (caller.kind, caller.label) == ("declared_caller", "declared caller Till of Alex")
    assert "+49 30 1234" in caller.manual_reason


async def test_the_plan_names_what_a_caller_lacks_for_the_new_url() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    limited = replace(
        build_till(build_called_flow_by_name(original)),
        max_url_length=200,
        allowed_hosts=("*.logic.azure.com",),
    )
    await declare_callers(
        scenario.services, [limited, build_till(build_called_flow_by_name(original), name="Free")]
    )
    await plan_remediation(scenario)

    callers = (await scenario.plan())["Orders"].callers

    reasons = {one.label: one.manual_reason for one in callers}
    assert "URLs of 200 characters" in reasons["declared caller Till of Alex"]
    assert ".environment.api.powerplatform.com" in reasons["declared caller Till of Alex"]
    assert "characters" not in reasons["declared caller Free of Alex"]


async def test_one_unreadable_row_hides_no_other_caller() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    [_, broken] = await declare_callers(
        scenario.services,
        [
            build_till(build_called_flow_by_name(original)),
            build_till(build_called_flow_by_url(original), name="Broken"),
        ],
    )
    name = scenario.services.tables.declared_callers.get_row_name(broken)
    row = scenario.fakes.store.rows[name]
    scenario.fakes.store.rows[name] = replace(row, columns={**row.columns, "data0": "{"})
    await plan_remediation(scenario)

    callers = (await scenario.plan())["Orders"].callers
    findings = (await scenario.read_environment_job()).findings

    assert "declared caller Till of Alex" in {one.label for one in callers}
    assert any("a declared caller" in one for one in findings)
    assert [one.name for one in await list_declared_callers(scenario.services)] == ["Till"]
    await declare_callers(
        scenario.services, [build_till(build_called_flow_by_url(original), name="Broken")]
    )
    assert [one.name for one in await list_declared_callers(scenario.services)] == [
        "Broken",
        "Till",
    ]


async def test_a_caller_of_a_flow_that_is_still_called_cannot_be_removed() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    till = build_till(build_called_flow_by_name(original))
    await declare_callers(scenario.services, [till])
    await plan_and_approve(scenario)
    other = build_till(build_called_flow_by_url(original), name="Other")
    scenario.world.clock.advance(timedelta(minutes=5))
    call_url(scenario.world, scenario.build.get_trigger_url(original))

    with pytest.raises(JobBlocked, match="its last call was at"):
        await remove_declared_caller(scenario.services, "Till")
    with pytest.raises(JobBlocked, match="its last call was at"):
        await declare_callers(scenario.services, [replace(till, flows=other.flows)])

    assert [one.flows[0].flow_id for one in await list_declared_callers(scenario.services)] == [
        original.workflow_id
    ]


async def test_a_caller_that_calls_nothing_can_be_removed() -> None:
    scenario = Scenario()
    original = scenario.build.add_http_flow("Orders")
    await declare_callers(scenario.services, [build_till(build_called_flow_by_name(original))])
    await plan_and_approve(scenario)

    await remove_declared_caller(scenario.services, "TILL ")
    await scenario.run(30 * DAY)

    assert await list_declared_callers(scenario.services) == []
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED


async def test_what_does_not_exist_is_named() -> None:
    scenario = Scenario()
    original, returns = (
        scenario.build.add_http_flow("Orders"),
        scenario.build.add_http_flow("Returns"),
    )
    await declare_callers(scenario.services, [build_till(build_called_flow_by_name(original))])

    with pytest.raises(FlowNotFound, match="Till with a verified copy"):
        await confirm_caller(scenario.services, "Till", "Orders", by="Anna")
    with pytest.raises(DeclaredCallerNotFound, match="Kiosk"):
        await confirm_caller(scenario.services, "Kiosk", "Orders", by="Anna")
    with pytest.raises(DeclaredCallerNotFound, match="Kiosk"):
        await remove_declared_caller(scenario.services, "Kiosk")
    await plan_and_approve(scenario)
    with pytest.raises(FlowNotFound, match="Returns"):
        await confirm_caller(scenario.services, "Till", returns.name, by="Anna")
