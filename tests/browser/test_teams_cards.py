"""What Microsoft's renderer of Adaptive Cards makes of the cards that go to Teams."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.channels.teams import card
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingAction, PendingActionKind
from tests.browser.renderer import page_with

CHROMIUM, RENDERERS = os.environ.get("CHROMIUM", ""), os.environ.get("RENDERERS", "")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and RENDERERS), reason="needs CHROMIUM and RENDERERS: `make browser`"
    ),
]
#: What anybody may call a flow.
NAME = "[Approve now](https://example.org/evil) **at once** <b>bold</b>"
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


def told(cause: PendingActionKind, link: str) -> dict[str, Any]:
    """Return the card of a cause in which every name is hostile."""
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
    return card(
        Notification(
            id="1",
            correlation_id="c-1",
            pending_action=waiting,
            created_at=at,
            link=link,
            link_title="Open the plan",
        )
    )


async def test_every_card_is_valid_and_shows_names_as_they_are() -> None:
    """No card has an unknown member or a link that a flow's name made."""
    async with page_with(
        CHROMIUM, Path(RENDERERS) / "adaptivecards/dist/adaptivecards.min.js"
    ) as page:
        for cause in PendingActionKind:
            for link in ("", "https://app.example/api/dashboard"):
                shown = await page.evaluate(RENDER, told(cause, link))

                assert shown["said"] == [], cause
                assert (shown["links"], shown["marks"]) == ([], 0), cause
                assert NAME in shown["text"], cause
                assert "Name another owner." in shown["text"], cause
                assert ("Open" in shown["text"]) is bool(link), cause


async def test_the_renderer_refuses_what_is_no_card_and_makes_a_link_of_markdown() -> None:
    """The test above can fail: a block of text reads Markdown, and an unknown type is told."""
    block = {"type": "TextBlock", "text": NAME}
    wrong = {"type": "AdaptiveCard", "version": "1.4", "body": [block, {"type": "Nothing"}]}
    async with page_with(
        CHROMIUM, Path(RENDERERS) / "adaptivecards/dist/adaptivecards.min.js"
    ) as page:
        shown = await page.evaluate(RENDER, wrong)

    assert shown["links"] == ["https://example.org/evil"]
    assert len(shown["said"]) == 1
