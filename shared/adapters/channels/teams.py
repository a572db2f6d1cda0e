"""Send notifications to a Teams channel, as Adaptive Cards that a Workflows webhook posts.

The webhook is a flow with an HTTP trigger. So its URL is a secret, and the flow stays on
Microsoft's key when a policy is applied to its environment (docs/notifications.md).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from shared.adapters.channels.event import LONGEST_ANSWER
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.domain.plans.notification import Notification
from shared.domain.plans.notification_text import describe_flows
from shared.domain.plans.pending_actions import PendingActionKind

_CARD = "application/vnd.microsoft.card.adaptive"
_SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
#: The part of a word after which the line may break: text runs do not wrap long words.
_LONG_WORD = re.compile(r"\S{24}(?=\S)")
#: Nothing is broken; a person decides.
_DECISIONS = frozenset(
    {
        PendingActionKind.PLAN_AWAITING_APPROVAL,
        PendingActionKind.PLAN_EXPIRES_SOON,
        PendingActionKind.NEEDS_CHANGES,
        PendingActionKind.SUPPORT_REQUEST,
        PendingActionKind.SUPPORT_WINDOW_CLOSES,
    }
)


class TeamsWorkflow:
    """The notification channel that posts to Teams through a webhook of the Workflows app."""

    name = "teams"

    def __init__(self, http: HttpClient, service: HttpService, url: str) -> None:
        """`url` is a secret, because it contains a signature."""
        self._http, self._service, self._url = http, service, url

    async def send(self, notification: Notification) -> None:
        attachment = {"contentType": _CARD, "contentUrl": None, "content": build_card(notification)}
        body = {"type": "message", "attachments": [attachment]}
        call = ServiceRequest(
            method="POST", url=self._url, body=body, longest_answer=LONGEST_ANSWER
        )
        await self._http.send(self._service, call)


def build_card(notification: Notification) -> dict[str, Any]:
    """Return an Adaptive Card 1.4 about a notification.

    Names are untrusted, so they are text runs, which Teams does not parse as Markdown. Escapes
    would not suffice, because some Teams clients do not support them.
    """
    waiting = notification.pending_action
    facts = {
        "Reason": waiting.message,
        "What to do": waiting.fix,
        "For": f"the {waiting.actor}",
        "To": ", ".join(notification.recipients),
        "Expires": f"{waiting.expires_at:%Y-%m-%d %H:%M} UTC" if waiting.expires_at else "",
    }
    content: dict[str, Any] = {
        "$schema": _SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _build_paragraph(
                _build_text_run(
                    waiting.title,
                    size="Medium",
                    weight="Bolder",
                    color=_choose_colour(waiting.kind),
                )
            ),
            *_build_flow_paragraph(notification),
            *(
                _build_paragraph(
                    _build_text_run(f"{name}: ", weight="Bolder"), _build_text_run(text)
                )
                for name, text in facts.items()
                if text
            ),
        ],
    }
    if _are_https_links([notification.link]):
        action = {
            "type": "Action.OpenUrl",
            "title": notification.link_title,
            "url": notification.link,
        }
        content["actions"] = [action]
    return content


def _build_flow_paragraph(notification: Notification) -> Iterator[dict[str, Any]]:
    action, links = notification.pending_action, notification.flow_links
    if not action.flows or len(links) != len(action.flows) or not _are_https_links(links):
        if text := describe_flows(action):
            yield _build_paragraph(
                _build_text_run("Flows: ", weight="Bolder"), _build_text_run(text)
            )
        return
    runs = [_build_text_run("Flows: ", weight="Bolder")]
    more = action.count - len(action.flows)
    for number, (name, link) in enumerate(zip(action.flows, links, strict=True)):
        is_last = number == len(links) - 1 and not more > 0
        between = "" if not number else " and " if is_last else ", "
        opens = {"selectAction": {"type": "Action.OpenUrl", "url": link}}
        runs += [_build_text_run(between)] if between else []
        runs.append({**_build_text_run(name), **opens})
    if more > 0:
        runs.append(_build_text_run(f" and {more} more"))
    yield _build_paragraph(*runs)


def _are_https_links(links: Iterable[str]) -> bool:
    """Return whether all links are HTTPS, because Teams rejects a card with any other link."""
    return all(link.startswith("https://") for link in links)


def _choose_colour(kind: PendingActionKind) -> str:
    if kind is PendingActionKind.REMEDIATION_COMPLETED:
        return "Good"
    return "Warning" if kind in _DECISIONS else "Attention"


def _build_paragraph(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _build_text_run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": _LONG_WORD.sub("\\g<0>\N{ZERO WIDTH SPACE}", text), **style}
