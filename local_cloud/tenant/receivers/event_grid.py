"""Serve `{topic}.{region}-1.eventgrid.azure.net`, a topic that receives batches of CloudEvents 1.0.

learn.microsoft.com/azure/event-grid/cloud-event-schema and …/post-to-custom-topic: a batch is a
list with its own media type and at most 1 MB; the answer has no body.
"""

import json
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.receivers.received_messages import (
    read_content,
    record_rejection,
    store_message,
)

HOSTS = (".eventgrid.azure.net",)
AUDIENCE = "https://eventgrid.azure.net"
OPTIONS: dict[str, tuple[str, ...]] = {}
_NAME = "event_grid"
_BATCH = "application/cloudevents-batch+json"
_LIMIT = 1024 * 1024


def build_routes(_: Tenant) -> list[Route]:
    return [Route("/api/events", publish_events, methods=["POST"])]


async def publish_events(request: Request) -> Response:
    """Accept all events of a batch, or reject the batch."""
    require_token(request, AUDIENCE)
    if request.query_params.get("api-version") != "2018-01-01":
        raise record_rejection(request, _NAME, 400, "The api-version has to be 2018-01-01.")
    if request.headers.get("content-type", "").partition(";")[0] != _BATCH:
        raise record_rejection(request, _NAME, 400, f"The media type has to be {_BATCH}.")
    events = json.loads(await read_content(request, _NAME, _LIMIT))
    for event in events:
        if why := _find_fault(event):
            raise record_rejection(request, _NAME, 400, why)
    for event in events:
        data = event["data"]
        content = {"title": data["title"], "kind": data["kind"], "id": event["id"]}
        store_message(
            request, _NAME, content | {"correlation": data["correlationId"], "link": data["link"]}
        )
    return Response(status_code=200)


def _find_fault(event: dict[str, Any]) -> str:
    """Return why an event is invalid, or an empty text (github.com/cloudevents/spec, 1.0.2)."""
    for name in ("specversion", "id", "source", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            return f"The attribute {name} has to be a text."
    if event["specversion"] != "1.0":
        return "The specversion has to be 1.0."
    if odd := [name for name in event if not (name.isalnum() and name.islower())]:
        return f"These are no names of attributes: {odd}."
    if "time" in event and datetime.fromisoformat(event["time"]).tzinfo is None:
        return "The time has no zone."
    return ""
