"""Test the app's cards for Teams with Microsoft's renderer of Adaptive Cards."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright: `make browser`")

from playwright.async_api import Browser

from shared.adapters.channels.teams import build_card
from shared.domain.plans.notification import Notification
from shared.domain.plans.notification_text import shorten_action
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from tests.browser.renderer import open_page_with
from tests.functional.app.test_notification_per_reason import (
    CATALOGUE,
    build_tenant_with,
    send_notifications,
)

CHROMIUM, RENDERERS = os.environ.get("CHROMIUM", ""), os.environ.get("RENDERERS", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and RENDERERS), reason="needs CHROMIUM and RENDERERS: `make browser`"
    ),
]
#: What anybody may call a flow.
NAME = "[Approve now](https://example.org/evil) **at once** <b>bold</b>"
#: Where a long word may break.
BREAK = "\N{ZERO WIDTH SPACE}"
IDENTITY = "5b283e8c-3aaf-5438-a43a-12c2a65fd071"
#: Renders a card as a client that reads Markdown does. Its renderer leaves Markdown to its host.
RENDER = """document => {
  const {AdaptiveCard, SerializationContext} = AdaptiveCards;
  AdaptiveCard.onProcessMarkdown = (text, result) => {
    result.outputHtml = text.replace(/\\[(.*?)\\]\\((.*?)\\)/g, '<a href="$2">$1</a>');
    result.didProcess = true;
  };
  const card = new AdaptiveCard(), context = new SerializationContext();
  card.parse(document, context);
  const said = [...Array(context.eventCount).keys()].map(at => context.getEventAt(at).message);
  const events = card.validateProperties().validationEvents.map(one => one.message);
  const shown = card.render();
  window.document.body.replaceChildren(shown);
  return {
    said: [...said, ...events],
    text: shown.innerText,
    links: [...shown.querySelectorAll('a')].map(one => one.href),
    marks: shown.querySelectorAll('b, strong').length,
  };
}"""


def build_hostile_card(cause: PendingActionKind, link: str) -> dict[str, Any]:
    """Return a Teams card in which every name contains markup and links."""
    waiting = PendingAction(
        kind=cause,
        reason_code="owner_unavailable",
        count=2,
        environment_id="env",
        environment_name=NAME,
        remediation_id="r-1",
        flows=(NAME, "Take returns"),
        message=NAME,
        fix="Name another owner.",
        next_command="cmkflow retry r-1",
        expires_at=datetime(2026, 1, 8, tzinfo=UTC),
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return build_card(
        Notification(
            id="1",
            correlation_id="c-1",
            pending_action=waiting,
            created_at=at,
            link=link,
            link_title="Open the plan",
        )
    )


async def test_every_card_is_valid_and_shows_names_as_text(browser: Browser) -> None:
    async with open_page_with(
        browser, Path(RENDERERS) / "adaptivecards/dist/adaptivecards.min.js"
    ) as page:
        for cause in PendingActionKind:
            for link in ("", "https://app.example/api/dashboard"):
                shown = await page.evaluate(RENDER, build_hostile_card(cause, link))

                assert shown["said"] == [], cause
                assert (shown["links"], shown["marks"]) == ([], 0), cause
                assert NAME in shown["text"].replace(BREAK, ""), cause
                assert "Name another owner." in shown["text"], cause
                assert ("Open" in shown["text"]) is bool(link), cause


#: How Teams draws text: its host configuration, as far as it changes the layout.
TEAMS = """() => {
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = null;
  document.body.style.cssText = 'margin: 0; background: #fff';
  window.draw = (document_, width) => {
    const card = new AdaptiveCards.AdaptiveCard();
    card.hostConfig = new AdaptiveCards.HostConfig({
      supportsInteractivity: true,
      spacing: {small: 4, default: 8, medium: 12, large: 16, extraLarge: 20, padding: 16},
      fontSizes: {small: 12, default: 14, medium: 16, large: 20, extraLarge: 24},
      actions: {maxActions: 6, buttonSpacing: 8, actionsOrientation: 'horizontal'},
    });
    card.parse(document_);
    const shown = card.render();
    shown.style.width = width + 'px';
    shown.style.boxSizing = 'border-box';
    shown.style.outline = '1px solid #ddd';
    document.body.replaceChildren(shown);
    return {
      overflow: shown.scrollWidth - width,
      height: shown.offsetHeight,
      buttons: [...shown.querySelectorAll('button')].map(one => one.innerText),
      text: shown.innerText,
    };
  };
}"""
LONG = "Nightly synchronisation of the customer master data with the warehouse of the north " * 2
CASES = {
    "1-flow": ("Orders",),
    "5-flows": ("Orders", "Returns", "Stock", "Invoices", "Payroll"),
    "200-flows": tuple(f"Order {number} of the day" for number in range(1, 201)),
    "long-names": (LONG, "Invoice_Approval_" * 18, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 150),
}


@pytest.mark.parametrize("width", [280, 480], ids=["narrow", "wide"])
@pytest.mark.parametrize("names", CASES.values(), ids=CASES)
async def test_card_fits_at_every_width(
    browser: Browser, names: tuple[str, ...], width: int, tmp_path: Path
) -> None:
    content = build_card(build_notification(names))
    async with open_page_with(
        browser, Path(RENDERERS) / "adaptivecards/dist/adaptivecards.min.js"
    ) as page:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.evaluate(TEAMS)
        shown = await page.evaluate("([content, width]) => draw(content, width)", [content, width])
        await page.screenshot(path=tmp_path / "card.png", full_page=True)

    assert shown["overflow"] <= 0
    assert shown["height"] < 640
    assert shown["buttons"] == ["Open the flows"]
    assert "What to do: Name another owner, then retry." in shown["text"]
    assert f"{len(names)} flow" in shown["text"]
    assert ("and 195 more" in shown["text"]) is (len(names) == 200)
    assert IDENTITY not in shown["text"]


@pytest.mark.parametrize(
    ("cause", "code"), CATALOGUE, ids=lambda one: str(one) if one else "no code"
)
async def test_card_of_every_notification_fits_and_names_no_address_range(
    browser: Browser, cause: PendingActionKind, code: str, tmp_path: Path
) -> None:
    scenario = await build_tenant_with("Stock")
    await CATALOGUE[cause, code](scenario)
    (one,) = [
        one
        for one in await send_notifications(scenario)
        if (one.pending_action.kind, one.pending_action.reason_code) == (cause, code)
    ]
    async with open_page_with(
        browser, Path(RENDERERS) / "adaptivecards/dist/adaptivecards.min.js"
    ) as page:
        await page.set_viewport_size({"width": 280, "height": 900})
        await page.evaluate(TEAMS)
        shown = await page.evaluate("content => draw(content, 280)", build_card(one))
        await page.screenshot(path=tmp_path / "card.png", full_page=True)

    text = shown["text"].replace(BREAK, "")
    assert shown["overflow"] <= 0
    assert shown["height"] < 640
    assert shown["buttons"] == [one.link_title]
    assert one.pending_action.title in text
    assert f"What to do: {one.pending_action.fix}" in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", text)


def build_notification(names: tuple[str, ...]) -> Notification:
    waiting = shorten_action(
        PendingAction(
            kind=PendingActionKind.FLOWS_BLOCKED,
            reason_code="owner_unavailable",
            count=len(names),
            environment_id=IDENTITY,
            environment_name="Operations",
            remediation_id=IDENTITY,
            flows=names,
            message="The owner of the flow has left, and no other owner is known.",
            fix="Name another owner, then retry.",
            next_command=f"cmkflow retry {IDENTITY}",
        )
    )
    return Notification(
        id=IDENTITY,
        correlation_id=IDENTITY,
        pending_action=waiting,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        link=f"https://app.example/api/dashboard/remediations/{IDENTITY}?state=blocked#flows",
        link_title="Open the flows",
    )


async def test_renderer_reports_unknown_types_and_renders_markdown_links(
    browser: Browser,
) -> None:
    """Without these two abilities of the renderer, tests of this file could not fail."""
    block = {"type": "TextBlock", "text": NAME}
    wrong = {"type": "AdaptiveCard", "version": "1.4", "body": [block, {"type": "Nothing"}]}
    async with open_page_with(
        browser, Path(RENDERERS) / "adaptivecards/dist/adaptivecards.min.js"
    ) as page:
        shown = await page.evaluate(RENDER, wrong)

    assert shown["links"] == ["https://example.org/evil"]
    assert len(shown["said"]) == 1
