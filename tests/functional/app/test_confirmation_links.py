import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from functions import audit_api, confirmation_link_api
from shared.bootstrap import provide
from shared.domain.callers.confirmation_link import LINK_LIFETIME, LinkKey
from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind
from shared.use_cases.declare_callers import (
    declare_callers,
    list_declared_callers,
    remove_declared_caller,
)
from shared.use_cases.notify import notify
from tests.fakes.tenant import FakeFlow
from tests.functional.app.notified_scenario import RecordingChannel
from tests.functional.scenarios.app_calls import Reply, build_sign_in_header, call
from tests.functional.scenarios.remediation_scenario import Scenario, plan_remediation

DAY = timedelta(days=1)
SECRET = "https://till.vault.azure.net/secrets/post-url"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
FORM = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}


def build_till(*flows: FakeFlow, secret: str = SECRET) -> DeclaredCaller:
    called = [
        CalledFlow(
            environment_id=flow.environment_id,
            flow_id=flow.workflow_id,
            new_url_secret="" if number else secret,
        )
        for number, flow in enumerate(flows)
    ]
    return DeclaredCaller(
        name="Till", owner="Alex", contact="alex@contoso.example", flows=tuple(called)
    )


async def build_scenario(*names: str, secret: str = SECRET) -> Scenario:
    scenario = Scenario()
    scenario.settings = scenario.settings.model_copy(update={"website_host": "app.example"})
    flows = [scenario.build.add_http_flow(name) for name in names]
    await declare_callers(scenario.services, [build_till(*flows, secret=secret)])
    await plan_remediation(scenario)
    await scenario.approve(run=DAY)
    provide(scenario.services)
    return scenario


async def send_notification(scenario: Scenario) -> Notification:
    heard = RecordingChannel()
    services = replace(scenario.services, channels=(heard,))
    await notify(services)
    scenario.world.clock.advance(timedelta(minutes=10))
    await notify(replace(scenario.services, channels=(heard,)))
    [found] = heard.told
    return found


async def read_token(scenario: Scenario) -> str:
    link = (await send_notification(scenario)).link
    assert link.startswith("https://app.example/api/declared-callers/confirmation?")
    [token] = parse_qs(urlsplit(link).query)["token"]
    return token


async def open_page(token: str) -> Reply:
    handler = confirmation_link_api.show_confirmation_page
    return await call(handler, headers=BROWSER, query={"token": token})


async def confirm_flow(
    token: str, job_id: str, *, calls_copy: bool = True, headers: Mapping[str, str] = FORM
) -> Reply:
    fields = {"token": token, "job_id": job_id, "calls_copy": str(calls_copy).lower()}
    body = urlencode(fields).encode()
    return await call(confirmation_link_api.confirm_by_link, body, headers=headers)


async def is_confirmed(scenario: Scenario) -> bool:
    [caller] = await list_declared_callers(scenario.services)
    return caller.flows[0].confirmed_at is not None


async def test_the_notification_names_flow_place_date_and_link_but_no_url() -> None:
    scenario = await build_scenario("Orders")
    job = await scenario.read_job("Orders")

    received = await send_notification(scenario)

    action = received.pending_action
    assert action.kind is PendingActionKind.CALLER_UNCONFIRMED
    assert action.title == "The update of Till is not confirmed for 1 flow in Contoso"
    assert action.flows == ("Orders",)
    assert job.observation.started_at
    until = job.observation.started_at + timedelta(days=7)
    assert action.message == (
        "The original stays on until Alex has confirmed that Till calls the copy, "
        f"at least until {until:%Y-%m-%d}."
    )
    assert action.fix == (
        "Ask Alex (alex@contoso.example) to make Till call the copy and to confirm it by the link. "
        "The new URL is in the secret post-url of the key vault till."
    )
    assert action.actor == "owner of the caller"
    assert action.next_command == "cmkflow caller confirm Till --flow Orders"
    assert received.link_title == "Confirm the change"
    assert "sig=" not in repr(received)


async def test_without_a_secret_the_notification_says_who_sends_the_url() -> None:
    """No message contains a trigger URL."""
    scenario = await build_scenario("Orders", secret="")

    fix = (await send_notification(scenario)).pending_action.fix

    assert "An owner of the copy finds the new URL in Power Automate" in fix


async def test_opening_the_link_changes_nothing_and_names_caller_flow_and_remediation() -> None:
    """Some programs that check e-mails open each link."""
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)
    before = dict(scenario.fakes.store.rows)

    opened = await open_page(token)

    assert opened.status == 200
    for text in ("Till: 1 flow to confirm", "Orders", "Contoso", scenario.remediation.id):
        assert text in opened.text
    assert "secret post-url of the key vault till" in opened.text
    assert "Confirm that Till calls the copy of Orders" in opened.text
    assert "sig=" not in opened.text
    assert "/api/dashboard" not in opened.text
    assert scenario.fakes.store.rows == before


async def test_each_flow_is_confirmed_by_its_button_and_a_repetition_changes_nothing() -> None:
    scenario = await build_scenario("Orders", "Returns")
    token = await read_token(scenario)
    job = await scenario.read_job("Orders")

    first = await confirm_flow(token, job.id)
    rows = dict(scenario.fakes.store.rows)
    again = await confirm_flow(token, job.id)
    opened = await open_page(token)
    changed = {name[0] for name, row in scenario.fakes.store.rows.items() if rows.get(name) != row}
    await scenario.run(30 * DAY)

    assert (first.status, again.status) == (303, 303)
    assert first.headers["Location"] == again.headers["Location"]
    assert changed == {"auditlog"}
    assert "Till: 1 flow to confirm" in opened.text
    assert "Confirmed: Till calls the copy of Orders" in opened.text
    assert "by Alex (by link)" in opened.text
    assert (await scenario.read_job("Orders")).state is FlowJobState.RETIRED
    assert (await scenario.read_job("Returns")).state is FlowJobState.BLOCKED
    log = await call(audit_api.list_audit, headers=build_sign_in_header("anna"))
    entry = log.document["items"][-1]
    assert (entry["who"], entry["kind"], entry["operation"]) == (
        "Alex (by link)",
        "link",
        "confirm_by_link",
    )
    assert token not in json.dumps(log.document)


async def test_in_a_rollback_the_link_confirms_the_original() -> None:
    """A page that was opened before the rollback must not confirm the original."""
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)
    job = await scenario.read_job("Orders")
    await confirm_flow(token, job.id)
    await scenario.roll_back(run=10 * DAY)

    stale = await confirm_flow(token, job.id)
    opened = await open_page(token)
    done = await confirm_flow(token, job.id, calls_copy=False)
    await scenario.run(30 * DAY)

    assert stale.status == 403
    assert "Open the link again" in stale.text
    assert "Confirm that Till calls the original of Orders" in opened.text
    assert done.status == 303
    assert (await scenario.read_job("Orders")).state is FlowJobState.ROLLED_BACK


async def test_an_expired_link_is_rejected() -> None:
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)
    job = await scenario.read_job("Orders")
    scenario.world.clock.advance(LINK_LIFETIME)

    for reply in (await open_page(token), await confirm_flow(token, job.id)):
        assert reply.status == 403
        assert "This link expired on" in reply.text
        assert "newest notification" in reply.text


@pytest.mark.parametrize("change", ["content", "signature", "empty", "foreign", "not text"])
async def test_a_forged_or_foreign_link_is_rejected_and_not_recorded(change: str) -> None:
    """Requests without a valid link must not fill the audit log."""
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)
    job = await scenario.read_job("Orders")
    content, _, signature = token.partition(".")
    if change == "foreign":
        await scenario.services.tables.link_keys.upsert(LinkKey(name="confirmation", key="00" * 32))
    forged = {
        "content": f"{content[:-2]}AA.{signature}",
        "signature": f"{content}.{'A' * len(signature)}",
        "empty": "",
        "foreign": token,
        "not text": "é.ü",
    }[change]

    replies = [await open_page(forged), await confirm_flow(forged, job.id)]

    assert [one.status for one in replies] == [403, 403]
    assert all("This link is not valid for this app." in one.text for one in replies)
    assert await scenario.services.tables.audit_log.read_all() == []
    assert not await is_confirmed(scenario)


async def test_a_program_gets_a_problem_document_for_a_link_that_is_rejected() -> None:
    provide(Scenario().services)

    reply = await call(confirmation_link_api.show_confirmation_page, query={"token": "x.y"})

    assert (reply.status, reply.media_type) == (403, "application/problem+json")
    assert reply.document["type"].endswith(":link-rejected")
    assert "newest notification" in reply.document["fix"]


async def test_a_link_confirms_only_its_own_flows() -> None:
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)

    reply = await confirm_flow(token, "another-job")

    assert reply.status == 403
    assert "This link is for other flows." in reply.text
    assert len(await scenario.services.tables.audit_log.read_all()) == 2


async def test_a_link_of_a_removed_caller_says_that_nothing_is_to_do() -> None:
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)
    await remove_declared_caller(scenario.services, "Till")

    reply = await open_page(token)

    assert reply.status == 403
    assert "no longer declared" in reply.text
    assert "You need not do anything" in reply.text


async def test_a_form_of_another_site_is_rejected() -> None:
    scenario = await build_scenario("Orders")
    token = await read_token(scenario)
    job = await scenario.read_job("Orders")

    reply = await confirm_flow(token, job.id, headers={**FORM, "Sec-Fetch-Site": "cross-site"})

    assert reply.status == 403
    assert not await is_confirmed(scenario)
