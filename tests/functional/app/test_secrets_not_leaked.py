from datetime import timedelta
from urllib.parse import quote

import pytest

from functions import (
    dashboard_api,
    environments_api,
    kill_switch_api,
    network_api,
    network_page_api,
    plan_page_api,
    queue_triggers,
    remediations_api,
    settings_api,
    settings_page_api,
)
from functions.message_handling import FIRST
from shared.bootstrap import provide
from shared.queues import POISON
from tests.fakes.services import build_fake_settings
from tests.functional.scenarios.app_calls import (
    TRIGGERS,
    Reply,
    build_message,
    build_sign_in_header,
    call,
)
from tests.functional.scenarios.remediation_scenario import Scenario

pytestmark = pytest.mark.usefixtures("redacting")

#: What a search for any of the canaries finds.
CANARY = "canary"
HEX = "0123456789abcdef0123456789abcdef"


def build_planted_url(edge: str) -> str:
    """Return a trigger URL whose signature names the place where a test puts it."""
    signature = f"{CANARY}-{edge}-".ljust(43, "0")
    return (
        f"https://prod-01.westeurope.logic.azure.com:443/workflows/{HEX}/triggers/manual/paths"
        f"/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={signature}"
    )


@pytest.fixture
async def scenario() -> Scenario:
    planted_settings = {
        "teams_webhook": build_planted_url("teams"),
        "webhook": build_planted_url("webhook"),
        "event_grid_topic": build_planted_url("topic"),
        "service_tags_file": build_planted_url("file"),
    }
    scenario = Scenario(settings=build_fake_settings(**planted_settings))
    scenario.driver.use_cases = TRIGGERS
    scenario.build.environment.display_name = build_planted_url("environment")
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow(build_planted_url("flow")))
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


def read_stored_text(scenario: Scenario) -> str:
    """Return the stored rows and the poison messages as one text."""
    rows = [f"{name} {row.columns}" for name, row in scenario.fakes.store.rows.items()]
    parked = map(str, scenario.fakes.messages.list_waiting_messages(POISON))
    return "\n".join([*rows, *parked])


def format_log(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)


def format_reply(reply: Reply) -> str:
    return f"{reply.headers} {reply.text}"


async def test_request_stores_no_signature(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    headers = build_sign_in_header(build_planted_url("principal")) | {
        "Idempotency-Key": f"change 4711, sig={CANARY}-key"
    }
    environment = scenario.build.environment.id
    order = {
        "mode": "apply",
        "environment_ids": [environment],
        "started_by": build_planted_url("by"),
    }

    started = await call(remediations_api.start_remediation, order, headers=headers)
    await scenario.run(timedelta(minutes=30))
    provide(scenario.services)
    identity = started.document["id"]
    replies = [
        started,
        await call(remediations_api.show_plan, id=identity),
        await call(plan_page_api.show_plan_page, id=identity),
        await call(dashboard_api.show_remediation_page, id=identity),
        await call(dashboard_api.show_status_page),
        await call(network_page_api.show_network_page),
        await call(network_api.list_firewalls),
        await call(network_page_api.show_network_page, query={"export": "csv"}),
        await call(settings_page_api.show_settings_page),
        await call(settings_api.list_settings),
        await call(
            remediations_api.show_remediation, id=identity, query={"include_history": "true"}
        ),
        await call(
            kill_switch_api.set_kill_switch,
            {"is_on": True, "changed_by": "x", "justification": build_planted_url("reason")},
            headers=headers,
        ),
        await call(environments_api.list_environments),
    ]

    assert [reply.status for reply in replies] == [202, *[200] * 12]
    rest = read_stored_text(scenario)
    assert HEX in rest
    for text in (rest, *map(format_reply, replies), format_log(caplog)):
        assert CANARY not in text


async def test_event_stores_no_signature(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    event = {
        "specversion": "1.0",
        "id": build_planted_url("id"),
        "type": "PowerPlatformCmk.EnvironmentPolicyLinked",
        "source": build_planted_url("source"),
        "subject": build_planted_url("subject"),
        "data": {
            "environmentId": scenario.build.environment.id,
            "policyId": build_planted_url("policy"),
            "linkStatus": "Linked",
            "linkedSince": build_planted_url("since"),
        },
    }
    rotation = {
        "id": build_planted_url("rotation"),
        "eventType": "Microsoft.KeyVault.KeyNewVersionCreated",
        "topic": build_planted_url("topic"),
        "subject": build_planted_url("key"),
        "data": {
            "VaultName": build_planted_url("vault"),
            "ObjectName": build_planted_url("object"),
        },
    }

    await queue_triggers.on_policy_event(
        build_message(event, message_id=build_planted_url("message"))
    )
    await queue_triggers.on_key_event(
        build_message(rotation, message_id=build_planted_url("message"))
    )
    await scenario.run(timedelta(minutes=30))

    assert await scenario.services.tables.remediations.read_all()
    assert CANARY not in read_stored_text(scenario)
    assert CANARY not in format_log(caplog)


async def test_poison_message_contains_no_signature(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    await queue_triggers.on_key_event(
        build_message(build_planted_url("body"), message_id=build_planted_url("message"))
    )
    first = {FIRST: build_planted_url("first")}
    await queue_triggers.on_key_event(
        build_message({"id": build_planted_url("event")}, properties=first)
    )

    parked = scenario.fakes.messages.list_waiting_messages(POISON)
    assert len(parked) == 2
    assert all("sig:sha256" in str(one) for one in parked)
    assert CANARY not in read_stored_text(scenario)
    assert CANARY not in format_log(caplog)


async def test_problem_contains_no_signature(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    path = quote(build_planted_url("path"), safe="")
    url = build_planted_url("member")
    replies = [
        await call(remediations_api.show_remediation, id="none", path=f"remediations/{path}"),
        await call(remediations_api.show_remediation, id=url, path=f"remediations/{url}"),
        await call(remediations_api.start_remediation, {url: url}),
        await call(remediations_api.show_remediation, id="none", query={url: url}),
    ]

    assert [reply.status for reply in replies] == [404, 400, 400, 400]
    for text in (*map(format_reply, replies), format_log(caplog)):
        assert CANARY not in text
