from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import environments_api, health_api, kill_switch_api, remediations_api
from shared.bootstrap import provide
from shared.domain.environment import EnvironmentSettings
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import MustWait, ServiceUnavailable, ThrottledError
from shared.ports import QueueMessage
from shared.queues import POISON
from shared.reason import Reason
from shared.steps.write_permission import read_environment_settings
from tests.fakes.builder import Builder
from tests.fakes.fault_injection import Failing
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    provide(scenario.services)
    return scenario


async def change_settings(scenario: Scenario, body: object) -> Reply:
    return await call(
        environments_api.update_environment_settings, body, id=scenario.build.environment.id
    )


async def test_environment_without_stored_settings_is_read_only(scenario: Scenario) -> None:
    link = scenario.build.apply_key()

    reply = await call(environments_api.list_environments)

    (item,) = reply.document["items"]
    assert reply.status == 200
    assert item["id"] == scenario.build.environment.id
    assert item["policy"] == {"policy_id": link.policy_id, "status": "Linked"}
    assert item["settings"] == {
        "approval_policy": "read_only",
        "max_flows": 100,
        "excluded_flows": [],
        "pilot_flows": [],
        "maintenance_window": "",
        "writable_firewalls": [],
        "observe_callers": False,
        "report_failed_runs": False,
        "notification_recipients": [],
        "has_url_secrets": True,
        "has_url_secrets_in_app_configuration": False,
        "ignored_issues": {},
        "version": EnvironmentSettings(environment_id=item["id"]).version,
    }


async def test_pages_list_each_environment_once(scenario: Scenario) -> None:
    for name in ("Fabrikam", "Adatum"):
        Builder(scenario.world, name=name)
    seen, after = [], ""
    for _ in range(3):
        reply = await call(environments_api.list_environments, query={"limit": "1", "after": after})
        (item,) = reply.document["items"]
        seen.append(item["id"])
        after = reply.document["next"]

    assert seen == sorted(scenario.world.environments)
    assert after == ""
    refused = await call(environments_api.list_environments, query={"after": NOWHERE})
    assert refused.status == 404


async def test_change_keeps_settings_that_it_omits(scenario: Scenario) -> None:
    orders, returns = (scenario.build.add_http_flow(name) for name in ("Orders", "Returns"))
    excluded = [orders.workflow_id.upper()]
    await change_settings(
        scenario, {"excluded_flows": excluded, "maintenance_window": "22:00-04:00"}
    )
    reply = await change_settings(
        scenario,
        {"approval_policy": "required", "max_flows": 5, "pilot_flows": [returns.flow_name]},
    )
    odd = await change_settings(scenario, {"writable_firewalls": ["nsg-erp"]})

    shown = await call(environments_api.show_environment, id=scenario.build.environment.id)
    (kept,) = await scenario.services.tables.environment_settings.read_all()
    assert reply.document == shown.document
    assert shown.document["settings"] == {
        "approval_policy": "required",
        "max_flows": 5,
        "excluded_flows": [orders.workflow_id],
        "pilot_flows": [returns.flow_name],
        "maintenance_window": "22:00-04:00",
        "writable_firewalls": [],
        "observe_callers": False,
        "report_failed_runs": False,
        "notification_recipients": [],
        "has_url_secrets": True,
        "has_url_secrets_in_app_configuration": False,
        "ignored_issues": {},
        "version": kept.version,
    }
    assert odd.status == 400


@pytest.mark.parametrize("setting", ["excluded_flows", "pilot_flows"])
async def test_unknown_flow_in_a_list_is_rejected_with_suggestions(
    scenario: Scenario, setting: str
) -> None:
    """If a mistyped id were ignored, the setting would not apply to the intended flow."""
    flow = scenario.build.add_http_flow("Orders")
    kept = await change_settings(scenario, {setting: [flow.workflow_id]})
    slip = flow.workflow_id[:-1]

    refused = await change_settings(scenario, {setting: [flow.workflow_id, slip], "max_flows": 5})
    del scenario.build.environment.flows[flow.workflow_id]
    after = await change_settings(scenario, {setting: [flow.workflow_id], "max_flows": 7})

    assert (kept.status, refused.status, after.status) == (200, 404, 200)
    assert slip in refused.document["detail"]
    assert refused.document["suggestions"] == [{"id": flow.workflow_id, "name": "Orders"}]
    assert refused.document["fix"] == f"Did you mean Orders ({flow.workflow_id})?"
    assert after.document["settings"]["max_flows"] == 7


async def test_flow_can_be_excluded_during_an_outage_of_the_flow_service(
    scenario: Scenario,
) -> None:
    """The app can find the flow in Dataverse."""
    flow = scenario.build.add_http_flow("Orders")
    out: Any = Failing(ServiceUnavailable("out"))
    provide(replace(scenario.services, flow_reports=out))

    reply = await change_settings(scenario, {"excluded_flows": [flow.workflow_id]})

    assert reply.status == 200


async def test_flows_of_an_environment_are_listed_by_name(scenario: Scenario) -> None:
    flows = [scenario.build.add_http_flow(name) for name in ("Returns", "Orders")]
    flows.append(scenario.build.add_mail_flow("Mail"))

    reply = await call(environments_api.list_flows, id=scenario.build.environment.id)

    ids = {one.name: one.workflow_id for one in flows}
    assert reply.document["items"] == [{"id": ids[one], "name": one} for one in sorted(ids)]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"approval_policy": "yolo"}, "approval_policy", "'read_only', 'required' or 'automatic'"),
        ({"max_flows": 0}, "max_flows", "at least 1"),
        ({"max_flows": "many"}, "max_flows", "whole number"),
        ({"maintenance_window": "nine to five"}, "maintenance_window", "HH:MM-HH:MM"),
        ({"excluded_flows": [" "]}, "excluded_flows.0", "at least 1 character"),
        ({"modus": "automatic"}, "modus", "This name is not known"),
        ({"approval_policy": None}, "", "Omit "),
        ({}, "", "Give at least one of"),
        ([], "", "object"),
        (b"{", "", "JSON"),
        (b"\xff", "", "JSON"),
        (b"", "", "Give at least one of"),
    ],
)
async def test_invalid_change_is_rejected_with_field_and_message(
    scenario: Scenario, body: Any, field: str, says: str
) -> None:
    reply = await change_settings(scenario, body)

    assert reply.status == 400
    assert reply.media_type == "application/problem+json"
    assert reply.document["type"].endswith(":bad-request")
    assert reply.document["instance"] == "/api/here"
    assert "the-function-key" not in reply.text
    errors = reply.document.get("errors", [{"field": "", "message": ""}])
    assert (errors[0]["field"], says in errors[0]["message"]) == (field, True), reply.document
    assert await scenario.services.tables.environment_settings.read_all() == []


async def test_error_does_not_repeat_the_request_body(scenario: Scenario) -> None:
    """A person may have entered a secret in the wrong member."""
    reply = await change_settings(
        scenario, {"approval_policy": "hunter2", "hunter2": 1, "max_flows": "hunter2"}
    )

    assert reply.status == 400
    assert "hunter2" not in str([error["message"] for error in reply.document["errors"]])


@pytest.mark.parametrize("bad", ["a/b", "a%2fb", "..", "", "a#b", "x" * 81, "a b"])
async def test_invalid_id_is_rejected(scenario: Scenario, bad: str) -> None:
    reply = await call(environments_api.show_environment, id=bad)

    assert reply.status == 400
    assert reply.document["errors"][0]["field"] == "id"


async def test_unknown_environment_is_not_found(scenario: Scenario) -> None:
    shown = await call(environments_api.show_environment, id=NOWHERE)
    changed = await call(
        environments_api.update_environment_settings, {"approval_policy": "automatic"}, id=NOWHERE
    )

    assert (shown.status, changed.status) == (404, 404)
    assert shown.document["fix"]
    assert await scenario.services.tables.environment_settings.read_all() == []


async def test_service_outage_is_answered_503_with_retry_after(scenario: Scenario) -> None:
    async def fail(environment_id: str) -> None:
        raise ServiceUnavailable(f"no answer about {environment_id}")

    scenario.fakes.ports.environments.get = fail  # type: ignore[method-assign, assignment]  # down
    provide(scenario.services)

    reply = await call(environments_api.show_environment, id=NOWHERE)

    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) > 0
    assert reply.document["type"].endswith(":unavailable")


@pytest.mark.parametrize("code", [Reason.WAITING_FOR_RESOURCE_LEASE, Reason.KILL_SWITCH_ON])
async def test_request_that_must_wait_is_answered_409_with_retry_after(
    scenario: Scenario, code: Reason
) -> None:
    """Such a wait is no error of the server, so the status is not 503."""
    until = scenario.services.now + timedelta(seconds=5)

    async def fail(environment_id: str) -> None:
        raise MustWait(f"somebody is writing {environment_id}", until=until, code=code)

    scenario.fakes.ports.environments.get = fail  # type: ignore[method-assign, assignment]  # leased
    provide(scenario.services)

    reply = await call(environments_api.show_environment, id=NOWHERE)

    assert (reply.status, reply.headers["Retry-After"]) == (409, "5")
    assert reply.document["reason_code"] == code


async def test_exhausted_request_budget_is_answered_429_with_retry_after(
    scenario: Scenario,
) -> None:
    """Many clients repeat a request automatically after a 429."""

    async def fail(environment_id: str) -> None:
        raise ThrottledError(f"no call for {environment_id}", retry_after=timedelta(seconds=23))

    scenario.fakes.ports.environments.get = fail  # type: ignore[method-assign, assignment]  # used up
    provide(scenario.services)

    reply = await call(environments_api.show_environment, id=NOWHERE)

    assert (reply.status, reply.headers["Retry-After"]) == (429, "23")
    assert reply.document["type"].endswith(":throttled")


async def test_internal_error_is_answered_without_its_text(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("details of the inside")

    scenario.fakes.ports.environments.list = fail  # type: ignore[method-assign, assignment]  # broken
    provide(scenario.services)

    reply = await call(environments_api.list_environments)

    assert reply.status == 500
    assert "inside" not in reply.text
    assert "details of the inside" in caplog.text


async def test_unknown_query_parameter_is_rejected(scenario: Scenario) -> None:
    """A misspelled filter must not return everything."""
    reply = await call(environments_api.list_environments, query={"environmnt": "a"})

    assert reply.status == 400
    assert reply.document["errors"][0]["field"] == "environmnt"


async def test_ignored_issue_is_stored_and_jobs_blocked_by_it_are_retried(
    scenario: Scenario,
) -> None:
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.run_remediation(maintenance_window="")
    table = scenario.services.tables.flow_jobs
    environment = scenario.build.environment.id
    (kept,) = [one async for one in table.query(environment)]
    blocked = replace(
        kept.item,
        state=FlowJobState.BLOCKED,
        resume_state=FlowJobState.COPIED,
        reason_code="firewall_denies",
        message="would be refused by: network_security_group:/subscriptions/s/nsg",
        next_check_at=None,
    )
    other = replace(blocked, id="other", reason_code="original_edited")
    await table.upsert(blocked, other)

    reply = await call(
        environments_api.ignore_issue,
        {
            "issue": "network_security_group:/subscriptions/s/nsg",
            "justification": "closes on Monday",
        },
        id=environment,
    )

    assert reply.status == 200
    assert reply.document == {
        "issue": "network_security_group:/subscriptions/s/nsg",
        "retried_count": 1,
    }
    settings = await read_environment_settings(scenario.services, environment)
    assert settings.ignored_issues == {
        "network_security_group:/subscriptions/s/nsg": "closes on Monday"
    }
    states = {job.id: job.state for job in await table.read_all(environment)}
    assert states == {blocked.id: FlowJobState.COPIED, "other": FlowJobState.BLOCKED}


async def test_signature_of_a_pasted_trigger_url_is_not_stored(
    scenario: Scenario,
) -> None:
    url = scenario.build.get_trigger_url(scenario.build.add_http_flow("Orders"))
    secret = url.partition("sig=")[2]
    environment = scenario.build.environment.id

    await call(
        environments_api.ignore_issue,
        {"issue": "service_tag:powerplatformplex", "justification": f"ok: {url}"},
        id=environment,
    )
    await call(
        kill_switch_api.set_kill_switch, {"is_on": True, "changed_by": url, "justification": url}
    )
    await call(
        remediations_api.start_remediation,
        {"mode": "assess", "environment_ids": [environment]},
        headers={"Idempotency-Key": f"change?sig={secret}"},
    )

    rows = str(list(scenario.fakes.store.rows.values()))
    assert secret not in rows
    assert "ok: https://" in rows
    assert "remediations" in rows


async def test_kill_switch_is_off_until_a_person_turns_it_on(scenario: Scenario) -> None:
    before = await call(kill_switch_api.show_kill_switch)
    turned = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "changed_by": "duty", "justification": "odd runs"},
    )
    after = await call(kill_switch_api.show_kill_switch)

    assert before.document == {
        "is_on": False,
        "changed_by": "",
        "justification": "",
        "changed_at": None,
    }
    assert turned.document == after.document
    assert (after.document["is_on"], after.document["changed_by"]) == (True, "duty")
    assert after.document["justification"] == "odd runs"
    assert after.document["changed_at"]


async def test_signed_in_person_has_precedence_over_the_name_in_the_body(
    scenario: Scenario,
) -> None:
    signed = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "changed_by": "somebody", "justification": "odd runs"},
        headers=build_sign_in_header("admin@contoso.example"),
    )
    nobody = await call(
        kill_switch_api.set_kill_switch, {"is_on": False, "justification": "all is well"}
    )

    assert signed.document["changed_by"] == "admin@contoso.example"
    assert nobody.status == 400
    assert nobody.document["errors"][0]["field"] == "changed_by"
    assert (await call(kill_switch_api.show_kill_switch)).document["is_on"] is True


async def test_invalid_character_in_the_principal_name_is_replaced(
    scenario: Scenario,
) -> None:
    """A row can contain only valid Unicode."""
    signed = await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "justification": "odd runs"},
        headers=build_sign_in_header("admin\ud83d@contoso.example"),
    )

    assert (signed.status, signed.document["changed_by"]) == (200, "admin?@contoso.example")


async def test_health_counts_poison_messages_and_shows_the_kill_switch(scenario: Scenario) -> None:
    await scenario.fakes.messages.send(QueueMessage(queue=POISON, message_id="p", body={}))
    await call(
        kill_switch_api.set_kill_switch,
        {"is_on": True, "changed_by": "duty", "justification": "odd runs"},
    )

    reply = await call(health_api.show_health)

    assert reply.status == 200
    assert reply.document["poison_messages"] == 1
    assert reply.document["kill_switch_on"] is True
    assert set(reply.document["dead_letters"].values()) == {0}


async def test_health_is_503_while_the_broker_does_not_answer(scenario: Scenario) -> None:
    """Monitors detect an outage by the status code."""

    async def fail(queue: str, *, dead_letters: bool = False) -> int:
        raise ServiceUnavailable(f"queue {queue} cannot be reached")

    scenario.fakes.messages.count = fail  # type: ignore[method-assign]  # the broker is gone

    assert (await call(health_api.show_health)).status == 503
