"""Serve a channel's webhook of the Workflows app, which accepts messages with Adaptive Cards.

The real webhook answers 202 to everything that its trigger accepts. A card that Teams cannot show
fails later in a run that nobody reads. This webhook rejects such a card at once, because people
would not see the notification (adaptivecards.io/explorer;
learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format).
"""

import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.receivers.received_messages import (
    find_receivers,
    read_content,
    record_rejection,
    store_message,
)

HOSTS = ("teams-channel.environment.api.powerplatform.com",)
_NAME = "teams"
_PATH = "/powerautomate/automations/direct/workflows/{workflow}/triggers/manual/paths/invoke"
_CARD = "application/vnd.microsoft.card.adaptive"
_LIMIT = 28 * 1024  # learn.microsoft.com/…/webhooks-and-connectors: 28 KB a message
#: Teams shows cards up to 1.5.
_VERSIONS = {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"}
_COLOURS = {"Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"}


def build_routes(_: Tenant) -> list[Route]:
    return [Route(_PATH, post_card, methods=["POST"])]


async def post_card(request: Request) -> Response:
    """Accept a message if Teams can show its cards."""
    signature = find_receivers(request).channel_signature
    if not hmac.compare_digest(request.query_params.get("sig", ""), signature):
        raise record_rejection(request, _NAME, 401, "The signature of the address is wrong.")
    message = json.loads(await read_content(request, _NAME, _LIMIT))
    if message.get("type") != "message" or not message.get("attachments"):
        raise record_rejection(request, _NAME, 400, "It is no message with attachments.")
    for attachment in message["attachments"]:
        card = attachment.get("content")
        if attachment.get("contentType") != _CARD or not isinstance(card, dict):
            raise record_rejection(request, _NAME, 400, f"An attachment is no {_CARD}.")
        if why := _find_fault(card):
            raise record_rejection(request, _NAME, 400, why)
        link = next((action["url"] for action in card.get("actions", ())), "")
        content = {
            "title": _collect_shown_text(card["body"][0]),
            "kind": "",
            "id": "",
            "correlation": "",
        }
        store_message(request, _NAME, content | {"link": link})
    return Response(status_code=202)


def _find_fault(card: dict[str, Any]) -> str:
    """Return why Teams could not show a card, or an empty text."""
    if card.get("type") != "AdaptiveCard" or card.get("version") not in _VERSIONS:
        return f"It is no Adaptive Card of a version up to 1.5: {card.get('version')}."
    if not card.get("body"):
        return "The card has no body."
    for element in card["body"]:
        match element:
            case {"type": "RichTextBlock", "inlines": [_, *_] as runs} if all(map(_is_run, runs)):
                pass
            case _:
                return f"The card cannot show {json.dumps(element)[:80]}."
    for action in card.get("actions", ()):
        if action.get("type") != "Action.OpenUrl" or not action.get("title"):
            return f"The card cannot offer {action.get('type')}."
        if urlsplit(action["url"]).scheme != "https":
            return "An action opens an address that is not https."
    return ""


def _is_run(run: Any) -> bool:
    match run:
        case {"type": "TextRun", "text": str(text)}:
            return bool(text) and run.get("color", "Default") in _COLOURS
    return False


def _collect_shown_text(paragraph: dict[str, Any]) -> str:
    text = "".join(run["text"] for run in paragraph["inlines"])
    return text.replace("\N{ZERO WIDTH SPACE}", "")
