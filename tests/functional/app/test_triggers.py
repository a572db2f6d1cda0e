import json
from datetime import timedelta

import azure.functions as func
import pytest

from functions import queue_triggers, timers
from shared import bootstrap
from shared.bootstrap import provide
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS, POISON, POLICY_EVENTS
from shared.use_cases.start_remediation import start_remediation
from tests.functional.scenarios.app_calls import TRIGGERS, build_message
from tests.functional.scenarios.remediation_scenario import Scenario


class _Tick(func.TimerRequest):
    @property
    def past_due(self) -> bool:
        return False


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    provide(scenario.services)
    return scenario


async def test_triggers_run_a_whole_remediation(scenario: Scenario) -> None:
    orders = scenario.build.add_http_flow("Orders")
    site = scenario.build.add_app_setting_caller(orders)
    old_url = scenario.build.get_trigger_url(orders)
    scenario.build.apply_key()
    scenario.driver.use_cases = TRIGGERS

    await scenario.run_remediation()

    assert (await scenario.read_jobs())["Orders"].state is FlowJobState.RETIRED
    assert site.settings["FLOW_URL"] != old_url
    assert scenario.fakes.messages.list_waiting_messages(POISON) == []


async def test_linking_an_environment_starts_a_remediation(scenario: Scenario) -> None:
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    scenario.driver.use_cases = TRIGGERS

    await timers.poll_environments(_Tick())
    await scenario.run(timedelta(minutes=5))

    (remediation,) = await scenario.services.tables.remediations.read_all()
    assert remediation.start_source is StartSource.POLICY_EVENT
    assert remediation.environment_ids == (scenario.build.environment.id,)


async def test_each_event_of_a_message_is_processed(scenario: Scenario) -> None:
    scenario.build.apply_key()
    events = [
        {
            "specversion": "1.0",
            "id": f"event-{since}",
            "type": "PowerPlatformCmk.EnvironmentPolicyLinked",
            "source": "/here",
            "data": {
                "environmentId": scenario.build.environment.id,
                "policyId": "policy",
                "linkStatus": "Linked",
                "linkedSince": since,
            },
        }
        for since in ("monday", "tuesday")
    ]

    await queue_triggers.on_policy_event(build_message(events))

    assert len(await scenario.services.tables.remediations.read_all()) == 2


async def test_event_of_another_type_is_completed(scenario: Scenario) -> None:
    event = {"id": "1", "eventType": "Microsoft.KeyVault.SecretExpired", "topic": "/v", "data": {}}

    await queue_triggers.on_key_event(build_message(event))

    assert await scenario.services.tables.remediations.read_all() == []
    assert scenario.fakes.messages.list_waiting_messages(POISON) == []


async def test_daily_check_starts_one_remediation_per_day(scenario: Scenario) -> None:
    scenario.build.apply_key()

    await timers.run_daily_check(_Tick())
    await timers.run_daily_check(_Tick())
    scenario.world.clock.advance(timedelta(days=1))
    await timers.run_daily_check(_Tick())

    origins = [item.start_source for item in await scenario.services.tables.remediations.read_all()]
    assert origins == [StartSource.DAILY_CHECK, StartSource.DAILY_CHECK]


async def test_message_of_an_overdue_row_is_sent_again(scenario: Scenario) -> None:
    scenario.build.apply_key()
    order = Remediation(
        created_at=scenario.services.now,
        mode=RemediationMode.ASSESS,
        start_source=StartSource.API_REQUEST,
        idempotency_key="order",
        environment_ids=(scenario.build.environment.id,),
    )
    await start_remediation(scenario.services, order)
    (lost,) = scenario.fakes.messages.list_waiting_messages(ENVIRONMENT_JOBS)
    scenario.world.clock.advance(timedelta(minutes=5))

    await timers.send_due_messages(_Tick())

    sent = scenario.fakes.messages.list_waiting_messages(ENVIRONMENT_JOBS)
    assert [one.body for one in sent if one.message_id != lost.message_id] == [lost.body]


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"{",
        b"[]",
        b'"text"',
        b'{"job": "a"}',
        b'{"environment": "a", "job": 7}',
        b'{"environment": "a/b", "job": "c"}',
        b'{"environment": "", "job": "c"}',
        b"[" * 100_000,
        b"\xff" * 200_000,
    ],
    ids=["bytes", "open", "list", "text", "one", "number", "slash", "empty", "deep", "long"],
)
async def test_unreadable_job_message_becomes_a_poison_message(
    scenario: Scenario, body: bytes
) -> None:
    await queue_triggers.run_flow_job(build_message(body, message_id="m-7"))

    (parked,) = scenario.fakes.messages.list_waiting_messages(POISON)
    assert parked.body["queue"] == FLOW_JOBS
    assert parked.body["message_id"] == "m-7"
    assert parked.body["reason"]
    assert parked.body["length"] == len(body.decode("utf-8", "replace"))


@pytest.mark.parametrize(
    "body",
    [b"no json", b"[]", b"{}", b'[{"id": "1"}]', b'{"id": "1", "eventType": 5}'],
    ids=["text", "nothing", "no event", "list without type", "type is a number"],
)
async def test_unreadable_event_becomes_a_poison_message(scenario: Scenario, body: bytes) -> None:
    await queue_triggers.on_policy_event(build_message(body))

    (parked,) = scenario.fakes.messages.list_waiting_messages(POISON)
    assert parked.body["queue"] == POLICY_EVENTS
    assert parked.body["body"] == body.decode()


async def test_message_for_a_missing_row_becomes_a_poison_message(scenario: Scenario) -> None:
    body = {"remediation": "r-1", "job": "j-1"}

    await queue_triggers.run_environment_job(build_message(body))

    (parked,) = scenario.fakes.messages.list_waiting_messages(POISON)
    assert "There is no environment job j-1" in str(parked.body["reason"])
    assert json.loads(str(parked.body["body"])) == body


async def test_error_at_the_start_of_a_timer_has_no_signature(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host logs this error, which may quote a setting."""
    url = scenario.build.get_trigger_url(scenario.build.add_http_flow("Orders"))

    def fail() -> None:
        raise ValueError(f"not valid: {url}")

    monkeypatch.setattr(bootstrap, "services", fail)

    with pytest.raises(RuntimeError) as raised:
        await timers.send_due_messages(_Tick())

    assert url.rpartition("sig=")[2] not in str(raised.value)
