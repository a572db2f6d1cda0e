"""Test the Overview and the page of a remediation for each cause of a required action."""

import re
from datetime import timedelta
from html import unescape

import pytest

from functions import dashboard_api
from shared.bootstrap import provide
from shared.domain.plans.pending_actions import PendingActionKind
from shared.reason import Reason
from tests.functional.app.test_notification_per_reason import CATALOGUE, build_tenant_with
from tests.functional.scenarios.app_calls import call
from tests.functional.scenarios.remediation_scenario import Scenario

#: Texts that only a fault brings into a page: raw markup of a command, negative time, plural of 1.
_FAULT = re.compile(r"`|-\d+ (?:s|min|h|days)\b|\b1 (?:flows|messages|rows|callers)\b")


async def show_pages(scenario: Scenario) -> list[str]:
    provide(scenario.services)
    pages = [await call(dashboard_api.show_status_page)]
    if found := await scenario.services.tables.remediations.read_all("remediation"):
        pages += [await call(dashboard_api.show_remediation_page, id=one.id) for one in found]
    return [_strip_markup(page.text) for page in pages]


def _strip_markup(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize(
    ("kind", "code"), CATALOGUE, ids=[f"{kind}-{code}" for kind, code in CATALOGUE]
)
async def test_no_text_of_a_cause_is_faulty(kind: PendingActionKind, code: str) -> None:
    scenario = await build_tenant_with("Stock")
    await CATALOGUE[kind, code](scenario)

    for page in await show_pages(scenario):
        assert _FAULT.findall(page) == []


async def test_flow_whose_original_and_copy_are_off_is_not_shown_as_working() -> None:
    scenario = await build_tenant_with("Stock")
    await CATALOGUE[PendingActionKind.BOTH_OFF, Reason.BOTH_OFF](scenario)

    _, page = await show_pages(scenario)

    assert "1 flow has original and copy both off." in page
    assert "works as before" not in page


async def test_remediation_with_a_blocked_flow_is_blocked_on_every_page() -> None:
    scenario = await build_tenant_with("Stock")
    await CATALOGUE[PendingActionKind.FLOWS_BLOCKED, Reason.FIREWALL_DENIES](scenario)

    overview, page = await show_pages(scenario)

    assert "Blocked for " in overview
    assert "Blocked since " in page
    assert "1 flow is in progress." in page


async def test_expired_plan_is_shown_as_expired() -> None:
    scenario = await build_tenant_with("Stock")
    await CATALOGUE[PendingActionKind.PLAN_AWAITING_APPROVAL, ""](scenario)
    scenario.world.clock.advance(timedelta(days=8))

    overview, _ = await show_pages(scenario)

    assert "for the approver · expired Details" in overview
