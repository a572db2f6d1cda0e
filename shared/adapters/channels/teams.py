"""Tells people in a channel of Teams, as an Adaptive Card by a webhook of the Workflows app.

Such a webhook is itself a flow with an HTTP trigger: its address is a secret, and a key that is
applied to its environment leaves it on Microsoft's key as any other (docs/notifications.md).
"""

from typing import Any

from shared.adapters.http.client import Call, HttpClient, Service
from shared.domain.plans.attention import Cause
from shared.domain.plans.notification import Notification

_CARD = "application/vnd.microsoft.card.adaptive"
_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"


class TeamsWorkflow:
    """One webhook of the Workflows app."""

    name = "teams"

    def __init__(self, http: HttpClient, service: Service, url: str) -> None:
        """`url` holds a signature."""
        self._http, self._service, self._url = http, service, url

    async def send(self, notification: Notification) -> None:
        """Post its card."""
        attachment = {"contentType": _CARD, "contentUrl": None, "content": card(notification)}
        body = {"type": "message", "attachments": [attachment]}
        await self._http.send(self._service, Call(method="POST", url=self._url, body=body))


def card(notification: Notification) -> dict[str, Any]:
    """Return an Adaptive Card 1.4: what waits, why, what to do, and a way to the page."""
    waiting = notification.waiting
    facts = {
        "Environment": waiting.environment_name or waiting.environment_id,
        "Flows": ", ".join(waiting.flows),
        "Why": waiting.reason,
        "To do": waiting.instruction,
        "Lapses": f"{waiting.lapses:%Y-%m-%d %H:%M} UTC" if waiting.lapses else "",
        "Command": waiting.command,
        "Correlation": notification.correlation,
    }
    content: dict[str, Any] = {
        "$schema": _SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {
                "type": "TextBlock",
                "text": waiting.title,
                "size": "Medium",
                "weight": "Bolder",
                "wrap": True,
                "color": "Good" if waiting.cause is Cause.FINISHED else "Attention",
            },
            {
                "type": "FactSet",
                "facts": [{"title": one, "value": text} for one, text in facts.items() if text],
            },
        ],
    }
    if notification.link:
        action = {"type": "Action.OpenUrl", "title": "Look", "url": notification.link}
        content["actions"] = [action]
    return content
