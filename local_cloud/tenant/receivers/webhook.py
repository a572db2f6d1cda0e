"""Serve `hooks.contoso.example`, a webhook that verifies the signatures of messages.

The format is that of www.standardwebhooks.com.
"""

import base64
import hashlib
import hmac
import json

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

HOSTS = ("hooks.contoso.example",)
OPTIONS: dict[str, tuple[str, ...]] = {}
_NAME = "webhook"
_LIMIT = 20 * 1024  # the standard: payloads under 20 kB
_TOLERANCE = 300


def build_routes(_: Tenant) -> list[Route]:
    return [Route("/cmk-flow", receive_webhook, methods=["POST"])]


async def receive_webhook(request: Request) -> Response:
    """Accept a message with a valid signature and a recent time stamp.

    A repeated message is accepted too, because its sender may not have got the first answer.
    """
    body = await read_content(request, _NAME, _LIMIT)
    identity, sent, signatures = (
        request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    now = request.app.state.tenant.clock.now().timestamp()
    if not sent.isdecimal() or abs(now - int(sent)) > _TOLERANCE:
        raise record_rejection(request, _NAME, 400, "The timestamp is none, or is not of now.")
    secret = find_receivers(request).webhook_secret
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, b".".join((identity.encode(), sent.encode(), body)), hashlib.sha256)
    expected = f"v1,{base64.b64encode(digest).decode()}"
    if not any(hmac.compare_digest(expected, one) for one in signatures.split()):
        raise record_rejection(request, _NAME, 401, "The signature is not that of the body.")
    event = json.loads(body)
    if event["id"] != identity:
        raise record_rejection(request, _NAME, 400, "The event has another id than its message.")
    data = event["data"]
    content = {"title": data["title"], "kind": data["kind"], "id": identity}
    store_message(
        request, _NAME, content | {"correlation": data["correlationId"], "link": data["link"]}
    )
    return Response(status_code=204)
