import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import (
    health_api,
    kill_switch_api,
    queue_triggers,
    remediation_actions_api,
    remediations_api,
    status_api,
)
from shared.alerts import delete_settled_alerts
from shared.bootstrap import provide
from shared.domain.alert import RowName
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.jobs.job_kinds import FLOW
from shared.ports import QueueMessage, StoreRow, UpsertRow
from shared.queues import FLOW_JOBS, POISON
from shared.reason import Reason
from shared.use_cases.run_daily_check import SWEEP, run_daily_check
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.functional.cli.cli_app import serve_app
from tests.functional.scenarios.app_calls import build_message, call
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_http_flow("Orders")
    scenario.build.add_http_flow("Invoices")
    await plan_remediation(scenario)
    for job in (await scenario.read_jobs()).values():
        overdue = replace(job, next_check_at=scenario.services.now - timedelta(hours=1))
        await FLOW.schedule_wake_up(scenario.services, overdue)
        await scenario.services.tables.flow_jobs.upsert(overdue)
    scenario.world.clock.advance(timedelta(minutes=2))
    provide(scenario.services)
    return scenario


def list_rows_without_audit(scenario: Scenario) -> dict[Any, Any]:
    """Return all rows except the audit log, which also records rejected requests."""
    return {name: row for name, row in scenario.fakes.store.rows.items() if row.table != "auditlog"}


def store_as_newer_version(scenario: Scenario, job: FlowJob) -> None:
    store_row_as_newer_version(
        scenario, scenario.services.tables.flow_jobs.get_row_name(job), job.state
    )


def store_row_as_newer_version(scenario: Scenario, name: RowName, state: str) -> None:
    row = scenario.fakes.store.rows[name]
    data = str(row.columns["data0"]).replace(f'"state":"{state}"', '"state":"levitating"')
    scenario.fakes.store.rows[name] = replace(row, columns={**row.columns, "data0": data})


def build_policy_event(environment_id: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": "event-1",
        "type": "PowerPlatformCmk.EnvironmentPolicyLinked",
        "source": "/here",
        "data": {"environmentId": environment_id, "policyId": "policy", "linkStatus": "Linked"},
    }


@pytest.mark.parametrize("environment_id", ["a/b", "", None, "x" * 81, "no-such-environment"])
async def test_event_with_an_invalid_environment_id_becomes_a_poison_message(
    environment_id: object,
) -> None:
    scenario = Scenario()
    provide(scenario.services)

    await queue_triggers.on_policy_event(build_message(build_policy_event(environment_id)))

    (parked,) = scenario.fakes.messages.list_waiting_messages(POISON)
    assert "environment" in str(parked.body["reason"])
    assert await scenario.services.tables.remediations.read_all() == []
    assert await send_due_and_overdue_messages(scenario.services) == 0


async def test_unreadable_row_blocks_no_other_row(scenario: Scenario) -> None:
    jobs = await scenario.read_jobs()
    store_as_newer_version(scenario, jobs["Orders"])
    before = len(scenario.fakes.messages.list_waiting_messages(FLOW_JOBS))

    await send_due_and_overdue_messages(scenario.services)
    await send_due_and_overdue_messages(scenario.services)

    (told,) = scenario.fakes.notices.told
    assert (told.reason_code, told.row[2]) == (Reason.UNREADABLE_ROW, jobs["Orders"].id)
    assert "state" in told.message
    assert "levitating" not in told.message
    sent = scenario.fakes.messages.list_waiting_messages(FLOW_JOBS)[before:]
    assert {message.body["job"] for message in sent} == {jobs["Invoices"].id}
    health = await call(health_api.show_health)
    assert health.document["alert_counts"] == {Reason.UNREADABLE_ROW: 1}

    scenario.world.clock.advance(timedelta(days=1))
    await send_due_and_overdue_messages(scenario.services)

    assert len(scenario.fakes.notices.told) == 2


async def test_internal_error_with_one_row_blocks_no_other_row(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of an error may contain a secret, so the notification does not quote it."""
    jobs = await scenario.read_jobs()
    send = scenario.fakes.messages.send

    async def fail_for_orders(*messages: QueueMessage) -> None:
        if jobs["Orders"].id in str(messages):
            raise KeyError("sig=secret")
        await send(*messages)

    monkeypatch.setattr(scenario.fakes.messages, "send", fail_for_orders)

    await send_due_and_overdue_messages(scenario.services)

    (told,) = scenario.fakes.notices.told
    assert (told.reason_code, told.row[2]) == (Reason.ROW_SKIPPED, jobs["Orders"].id)
    assert told.message.startswith("KeyError at engine.py:")
    assert "secret" not in told.message
    assert jobs["Invoices"].id in str(scenario.fakes.messages.list_waiting_messages(FLOW_JOBS))


async def test_alert_of_a_deleted_row_is_not_counted(scenario: Scenario) -> None:
    job = await scenario.read_job("Orders")
    store_as_newer_version(scenario, job)
    await send_due_and_overdue_messages(scenario.services)
    del scenario.fakes.store.rows[scenario.services.tables.flow_jobs.get_row_name(job)]

    await delete_settled_alerts(scenario.services)

    assert (await call(health_api.show_health)).document["alert_counts"] == {}


async def test_unreadable_row_is_shown_with_its_key(scenario: Scenario) -> None:
    jobs = await scenario.read_jobs()
    store_as_newer_version(scenario, jobs["Orders"])
    row = list(scenario.services.tables.flow_jobs.get_row_name(jobs["Orders"]))

    listed = (await call(remediations_api.list_remediations)).document
    shown = (await call(remediations_api.show_remediation, id=scenario.remediation.id)).document
    async with serve_app() as command_line:
        told = await command_line.run("remediation", "show", scenario.remediation.id)

    assert [one["row"] for one in listed["unreadable_rows"]] == [row]
    assert [one["remediation"]["id"] for one in listed["items"]] == [scenario.remediation.id]
    assert [one["row"] for one in shown["unreadable_rows"]] == [row]
    assert [job["display_name"] for job in shown["flow_jobs"]] == ["Invoices"]
    assert f"Cannot read row {'/'.join(row)}: state: has an unknown value" in told.stdout


ORDERS = {
    "cancel": remediation_actions_api.cancel_remediation,
    "retry": remediation_actions_api.retry_remediation,
    "rollback": remediation_actions_api.roll_back_remediation,
}


@pytest.mark.parametrize("order", ORDERS)
async def test_request_for_all_flows_skips_unreadable_rows(scenario: Scenario, order: str) -> None:
    jobs, table = await scenario.read_jobs(), scenario.services.tables.flow_jobs
    store_as_newer_version(scenario, jobs["Orders"])
    row = table.get_row_name(jobs["Orders"])
    before = scenario.fakes.store.rows[row]
    place = table.get_address(jobs["Invoices"])
    await table.change(*place, lambda job: job and replace(job, state=FlowJobState.BLOCKED))

    reply = await call(ORDERS[order], id=scenario.remediation.id)
    async with serve_app() as command_line:
        group = ["remediation"] if order == "cancel" else []
        told = await command_line.run(*group, order, scenario.remediation.id, answer="y")

    assert (reply.status, reply.document["flow_count"]) == (202, 1)
    assert [one["row"] for one in reply.document["unreadable_rows"]] == [list(row)]
    after = await table.get(*place)
    assert after is not None
    assert (after.item.requested_command is None) == (order == "retry")
    assert (after.item.state is FlowJobState.BLOCKED) == (order != "retry")
    assert scenario.fakes.store.rows[row] == before
    assert f"Cannot read row {'/'.join(row)}: state: has an unknown value" in told.stdout


@pytest.mark.parametrize("order", ["retry", "rollback"])
async def test_request_for_a_flow_with_an_unreadable_row_is_rejected(
    scenario: Scenario, order: str
) -> None:
    jobs = await scenario.read_jobs()
    store_as_newer_version(scenario, jobs["Orders"])
    before = list_rows_without_audit(scenario)
    flows = [job.original.id for job in jobs.values()]

    reply = await call(ORDERS[order], id=scenario.remediation.id, body={"flow_ids": flows})

    assert reply.status == 422
    assert jobs["Orders"].id in reply.document["detail"]
    assert "Deploy the version" in reply.document["fix"]
    assert list_rows_without_audit(scenario) == before


async def test_cancel_with_an_unreadable_environment_job_cancels_flow_jobs(
    scenario: Scenario,
) -> None:
    job = await scenario.read_environment_job()
    name = scenario.services.tables.environment_jobs.get_row_name(job)
    store_row_as_newer_version(scenario, name, job.state)

    reply = await call(remediation_actions_api.cancel_remediation, id=scenario.remediation.id)

    assert (reply.status, reply.document["flow_count"]) == (202, 2)
    assert [one["row"] for one in reply.document["unreadable_rows"]] == [list(name)]


async def test_job_with_an_unreadable_deletion_is_not_rolled_back(scenario: Scenario) -> None:
    """The app cannot cancel an unreadable deletion."""
    job, table = await scenario.read_job("Orders"), scenario.services.tables.deletions
    deletion = Deletion(
        environment_id=job.environment_id,
        job_id=job.id,
        remediation_id=job.remediation_id,
        original_id=job.original.id,
        flow_name=job.original.flow_name,
        display_name=job.display_name,
        in_solution=True,
        delete_at=scenario.services.now,
        approved_by="tests",
        approved_at=scenario.services.now,
        retired_at=None,
    )
    await table.insert(deletion)
    name = table.get_row_name(deletion)
    store_row_as_newer_version(scenario, name, deletion.state)

    reply = await call(remediation_actions_api.roll_back_remediation, id=scenario.remediation.id)

    assert (reply.status, reply.document["flow_count"]) == (202, 1)
    assert [one["row"] for one in reply.document["unreadable_rows"]] == [list(name)]
    assert (await scenario.read_job("Orders")).requested_command is None


async def test_remediation_with_an_invalid_environment_id_is_shown_as_unreadable(
    scenario: Scenario,
) -> None:
    name = scenario.services.tables.remediations.get_row_name(scenario.remediation)
    row = scenario.fakes.store.rows[name]
    environment_id = scenario.remediation.environment_ids[0]
    junk = str(row.columns["data0"]).replace(environment_id, "a/b")
    scenario.fakes.store.rows[(*name[:2], "junk")] = replace(
        row, key="junk", columns={**row.columns, "data0": junk}
    )

    listed = (await call(remediations_api.list_remediations)).document
    shown = await call(remediations_api.show_remediation, id="junk")
    await run_daily_check(scenario.services, "today")

    assert [one["row"][2] for one in listed["unreadable_rows"]] == ["junk"]
    assert [one["remediation"]["id"] for one in listed["items"]] == [scenario.remediation.id]
    assert shown.status == 422
    assert {one.row[2] for one in scenario.fakes.notices.told} == {"junk"}


async def damage_row(scenario: Scenario, name: RowName, **columns: str) -> None:
    """Change columns of an existing row, or write a new unreadable row."""
    table, partition, key = name
    row = scenario.fakes.store.rows.get(name) or StoreRow(
        table=table, partition=partition, key=key, columns={"chunks": 1}
    )
    await scenario.fakes.store.write(UpsertRow(replace(row, columns={**row.columns, **columns})))


async def test_unreadable_kill_switch_is_treated_as_on() -> None:
    scenario, name = (
        Scenario(mode=ApprovalPolicy.AUTOMATIC),
        ("killswitch", "kill_switch", "kill-switch"),
    )
    scenario.build.add_http_flow("Orders")
    await damage_row(scenario, name, data0="{garbage")
    await plan_remediation(scenario)
    provide(scenario.services)
    jobs = await scenario.read_jobs()
    health = (await call(health_api.show_health)).document
    attention = (await call(status_api.show_status)).document
    shown = (await call(kill_switch_api.show_kill_switch)).document

    assert {job.reason_code for job in jobs.values()} == {Reason.KILL_SWITCH_ON}
    assert all("/".join(name) in job.message for job in jobs.values())
    assert health["kill_switch_on"]
    assert shown["is_on"]
    assert "/".join(name) in shown["justification"]
    assert [one["row"] for one in attention["unreadable_rows"]] == [list(name)]
    assert "Turn the kill switch on or off" in attention["unreadable_rows"][0]["fix"]
    assert any("/".join(name) in one["fix"] for one in attention["pending_actions"])

    change = {"is_on": False, "justification": "The row was damaged.", "changed_by": "tests"}
    assert (await call(kill_switch_api.set_kill_switch, change)).status == 200
    await scenario.run(timedelta(hours=1))

    assert {job.step for job in (await scenario.read_jobs()).values()} == {
        FlowJobState.CHECKING_FOR_CALLS
    }
    assert not (await call(health_api.show_health)).document["kill_switch_on"]


async def test_environment_job_of_another_version_does_not_stop_the_daily_check(
    scenario: Scenario,
) -> None:
    job = await scenario.read_environment_job()
    name = scenario.services.tables.environment_jobs.get_row_name(job)
    store_row_as_newer_version(scenario, name, job.state)

    await run_daily_check(scenario.services, "today")

    assert (await call(health_api.show_health)).document["last_daily_check_at"]
    (alert,) = scenario.fakes.notices.told
    assert (alert.reason_code, alert.row) == (Reason.UNREADABLE_ROW, name)
    assert alert.fix.startswith(f"Row {'/'.join(name)}: Deploy the version")


async def test_bug_in_one_check_does_not_stop_the_daily_check(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("id")

    monkeypatch.setattr("shared.use_cases.run_daily_check.record_key_checks", fail)

    await run_daily_check(scenario.services, "today")

    assert (await call(health_api.show_health)).document["last_daily_check_at"]
    (alert,) = scenario.fakes.notices.told
    assert alert.reason_code == Reason.ROW_SKIPPED
    assert alert.message.startswith("The check of keys failed: KeyError at ")


async def test_daily_check_writes_an_unreadable_timer_row_again(
    scenario: Scenario,
) -> None:
    name = ("timerruns", "timer", SWEEP)
    await damage_row(scenario, name, data0="{garbage")

    before = (await call(status_api.show_status)).document
    await run_daily_check(scenario.services, "today")
    await send_due_and_overdue_messages(scenario.services)
    after = (await call(status_api.show_status)).document

    assert [one["row"] for one in before["unreadable_rows"]] == [list(name)]
    assert before["health"]["last_daily_check_at"] is None
    assert after["unreadable_rows"] == []
    assert after["health"]["last_daily_check_at"]
    assert [told.row for told in scenario.fakes.notices.told] == [name]


async def test_unreadable_wake_up_still_wakes_its_job(scenario: Scenario) -> None:
    before = len(scenario.fakes.messages.list_waiting_messages(FLOW_JOBS))
    for row in [row for row in scenario.fakes.store.rows.values() if row.table == "wakeups"]:
        await damage_row(scenario, (row.table, row.partition, row.key), data0="{garbage")

    await send_due_and_overdue_messages(scenario.services)

    sent = scenario.fakes.messages.list_waiting_messages(FLOW_JOBS)[before:]
    jobs = await scenario.read_jobs()
    assert {message.body["job"] for message in sent} == {job.id for job in jobs.values()}
    assert [one async for one in scenario.services.tables.wake_ups.query("wake_up")]


async def test_daily_check_corrects_search_columns(scenario: Scenario) -> None:
    job = await scenario.read_job("Orders")
    name = scenario.services.tables.flow_jobs.get_row_name(job)
    before = scenario.fakes.store.rows[name].columns
    await damage_row(scenario, name, state="levitating", original_id="")

    await run_daily_check(scenario.services, "today")

    assert scenario.fakes.store.rows[name].columns == before


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_daily_check_skips_no_row_with_a_time_at_an_end_of_the_calendar(
    scenario: Scenario, time: str
) -> None:
    """Python cannot convert such a time to UTC."""
    name = scenario.services.tables.flow_jobs.get_row_name(await scenario.read_job("Orders"))
    data = str(scenario.fakes.store.rows[name].columns["data0"])
    changed = re.sub(r'("next_check_at":)"[^"]*"', rf'\1"{time}"', data)
    assert changed != data
    await damage_row(scenario, name, data0=changed)

    await run_daily_check(scenario.services, "today")

    column = scenario.fakes.store.rows[name].columns["next_check_at"]
    assert str(column).startswith(time[:10])
    assert scenario.fakes.notices.told == []
