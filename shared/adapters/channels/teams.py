"""Tells people in a channel of Teams, as an Adaptive Card by a webhook of the Workflows app.

Such a webhook is itself a flow with an HTTP trigger: its address is a secret, and a key that is
applied to its environment leaves it on Microsoft's key as any other (docs/notifications.md).
"""

from typing import Any

from shared.adapters.channels.event import LONGEST_ANSWER
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.plans.notification import Notification
from shared.domain.plans.pending_actions import PendingActionKind

_CARD = "application/vnd.microsoft.card.adaptive"
_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"


class TeamsWorkflow:
    """One webhook of the Workflows app."""

    name = "teams"

    def __init__(self, http: HttpClient, service: HttpService, url: str) -> None:
        """`url` holds a signature."""
        self._http, self._service, self._url = http, service, url

    async def send(self, notification: Notification) -> None:
        """Post its card."""
        attachment = {"contentType": _CARD, "contentUrl": None, "content": card(notification)}
        body = {"type": "message", "attachments": [attachment]}
        call = ServiceRequest(
            method="POST", url=self._url, body=body, longest_answer=LONGEST_ANSWER
        )
        await self._http.send(self._service, call)


def card(notification: Notification) -> dict[str, Any]:
    """Return an Adaptive Card 1.4: what waits, why, what to do, and a way to the page.

    Names are anybody's text: runs of text, other than blocks and facts, are not read as Markdown,
    so none of them is a link. (Escapes are not understood by every client of Teams.)
    """
    waiting = notification.pending_action
    facts = {
        "Environment": waiting.environment_name or waiting.environment_id,
        "Flows": ", ".join(waiting.flows),
        "Why": waiting.reason,
        "To do": waiting.instruction,
        "Lapses": f"{waiting.expires_at:%Y-%m-%d %H:%M} UTC" if waiting.expires_at else "",
        "Command": waiting.command,
        "Correlation": notification.correlation_id,
    }
    colour = "Good" if waiting.cause is PendingActionKind.REMEDIATION_COMPLETED else "Attention"
    content: dict[str, Any] = {
        "$schema": _SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _paragraph(_run(waiting.title, size="Medium", weight="Bolder", color=colour)),
            *(
                _paragraph(_run(f"{name}: ", weight="Bolder"), _run(text))
                for name, text in facts.items()
                if text
            ),
        ],
    }
    if notification.link.startswith("https://"):  # Teams refuses a card with another link
        action = {"type": "Action.OpenUrl", "title": "Look", "url": notification.link}
        content["actions"] = [action]
    return content


def _paragraph(*runs: dict[str, str]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: str) -> dict[str, str]:
    return {"type": "TextRun", "text": text, **style}
