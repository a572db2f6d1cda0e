import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from functions.dashboard.support_requests_page import TITLES
from shared.bootstrap import provide
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from shared.domain.plans.support_request import SupportRequestKind
from shared.reason import Reason
from tests.functional.app.test_notification_per_reason import (
    CATALOGUE,
    build_tenant_with,
    send_notifications,
)
from tests.functional.cli.cli_app import KEY, serve_app
from tests.functional.cli.test_cli_network import build_guarded_scenario
from tests.functional.scenarios.remediation_scenario import Scenario

#: A kind, its reason code, and the end of the path and the query of its link.
PLACES = {
    (PendingActionKind.PLAN_AWAITING_APPROVAL, ""): ("/plan", {"environment"}),
    (PendingActionKind.PLAN_EXPIRES_SOON, ""): ("/plan", {"environment"}),
    (PendingActionKind.NEEDS_CHANGES, ""): ("/plan", {"environment", "filter"}),
    (PendingActionKind.FLOWS_BLOCKED, Reason.OWNER_UNAVAILABLE): ("/flows/ID", set[str]()),
    (PendingActionKind.BOTH_OFF, Reason.BOTH_OFF): ("/flows/ID", set()),
    (PendingActionKind.LATE_CALLER, Reason.LATE_CALLER): ("/flows/ID", set()),
    (PendingActionKind.REMEDIATION_COMPLETED, ""): ("/remediations/ID", set()),
    (PendingActionKind.SUPPORT_REQUEST, "run_history"): ("/support-requests", {"request"}),
    (PendingActionKind.SUPPORT_WINDOW_CLOSES, "run_history"): ("/support-requests", {"request"}),
    (PendingActionKind.KILL_SWITCH_ON, Reason.KILL_SWITCH_ON): ("/dashboard", set()),
}
SUPPORT_REQUESTS = {PendingActionKind.SUPPORT_REQUEST, PendingActionKind.SUPPORT_WINDOW_CLOSES}
ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
async def scenario() -> Scenario:
    return await build_tenant_with("Stock", "Payroll")


@pytest.mark.parametrize(
    ("cause", "code"),
    [one for one in CATALOGUE if one[1] != Reason.FIREWALL_DENIES],  # below, on Azure's answers
    ids=lambda one: str(one) if one else "no code",
)
async def test_every_link_opens_the_page_about_its_message(
    scenario: Scenario, cause: PendingActionKind, code: str
) -> None:
    await CATALOGUE[cause, code](scenario)
    provide(scenario.services)
    async with serve_app() as app:
        (one,) = [
            one
            for one in await send_notifications(scenario, urlsplit(app.url).netloc)
            if (one.pending_action.kind, one.pending_action.reason_code) == (cause, code)
        ]
        page = await open_page(one.link)
        own = [each for each in one.flow_links if urlsplit(each).netloc in app.url]
        pages = [await open_page(each) for each in own]

    link = urlsplit(one.link)
    if one.pending_action.remediation_id:
        assert len(pages) == len(one.pending_action.flows)
    for name, text in zip(one.pending_action.flows, pages, strict=False):
        assert f"<title>{name}: " in text
    if link.fragment:
        assert f'id="{link.fragment}"' in page
    for text in list_expected_texts(one.pending_action, scenario):
        assert text in page
    if place := PLACES.get((cause, code)):
        path, names = place
        assert re.sub(ID, "ID", link.path).endswith(path)
        assert set(parse_qs(link.query)) == names


async def test_link_of_several_blocked_flows_opens_exactly_these(scenario: Scenario) -> None:
    await CATALOGUE[PendingActionKind.FLOWS_BLOCKED, Reason.OWNER_UNAVAILABLE](scenario)
    (first,) = [
        job
        for job in await scenario.services.tables.flow_jobs.read_all(scenario.build.environment.id)
        if job.needs_action
    ]
    stock = await scenario.read_job("Stock")
    blocked = stock.__replace__(
        state=first.state,
        resume_state=first.resume_state,
        reason_code=first.reason_code,
        message=first.message,
        fix=first.fix,
    )
    await scenario.services.tables.flow_jobs.upsert(blocked)
    provide(scenario.services)
    one, page = await follow_link(scenario)

    listed = page.partition('id="flows"')[2].partition("</section>")[0]
    assert one.link_title == "Open the flows"
    assert "Orders" in listed
    assert "Stock" in listed
    assert "Payroll" not in listed


async def test_link_of_flows_behind_one_firewall_opens_its_fix() -> None:
    scenario = await build_guarded_scenario()
    await scenario.order()
    await scenario.approve(run=timedelta(hours=1))
    provide(scenario.services)

    one, page = await follow_link(scenario)

    fix = page.partition(f'id="{urlsplit(one.link).fragment}"')[2]
    assert one.link_title == "Open the firewall fix"
    assert "az network nsg rule create" in fix
    assert one.pending_action.message == "1 firewall denies the addresses of the copies: edge."
    assert not re.search(r"\d+\.\d+\.\d+", f"{one.pending_action.title}{one.pending_action.fix}")


async def follow_link(scenario: Scenario) -> tuple[Notification, str]:
    async with serve_app() as app:
        (one,) = [
            one
            for one in await send_notifications(scenario, urlsplit(app.url).netloc)
            if one.pending_action.kind is PendingActionKind.FLOWS_BLOCKED
        ]
        return one, await open_page(one.link)


async def open_page(link: str) -> str:
    async with (
        aiohttp.ClientSession(headers={"x-functions-key": KEY}) as session,
        session.get(link) as answer,
    ):
        assert answer.status == 200
        return unescape(await answer.text())


def list_expected_texts(action: PendingAction, scenario: Scenario) -> list[str]:
    if action.kind in {PendingActionKind.DIGEST, PendingActionKind.REMEDIATION_COMPLETED}:
        return [action.environment_name]
    if action.kind is PendingActionKind.KILL_SWITCH_ON:
        return ["ill switch"]
    if action.kind is PendingActionKind.FAILED_RUNS:
        return [action.environment_name, *action.flows]
    if action.kind in SUPPORT_REQUESTS:
        return [action.environment_name, "<pre", TITLES[SupportRequestKind(action.reason_code)]]
    if action.remediation_id:
        return [*action.flows, scenario.build.environment.display_name]
    return [action.title]
