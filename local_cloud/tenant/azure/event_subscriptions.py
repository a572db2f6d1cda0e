"""Serve event subscriptions of Event Grid.

Only an action returns the whole URL of a webhook. A new URL is validated: its endpoint must answer.
See platform.md#event-subscriptions.
"""

import re
from urllib.parse import parse_qsl, urlsplit

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import (
    ArmCall,
    ArmHandler,
    build_arm_route,
    build_collection_path,
)
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.flow import SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform

_PROVIDER = "Microsoft.EventGrid"
#: Start of the route names → type of an event subscription.
EVENT_SUBSCRIPTIONS = {
    "domain_": f"{_PROVIDER}/domains/eventSubscriptions",
    "domain_topic_": f"{_PROVIDER}/domains/topics/eventSubscriptions",
    "partner_topic_": f"{_PROVIDER}/partnerTopics/eventSubscriptions",
    "scope_": f"{_PROVIDER}/eventSubscriptions",
    "": f"{_PROVIDER}/systemTopics/eventSubscriptions",
    "topic_": f"{_PROVIDER}/topics/eventSubscriptions",
}
_FLOW_PATH = re.compile(r"/workflows/(?P<workflow>[0-9a-fA-F]{32})/triggers/")


def build_routes() -> list[Route]:
    found: list[Route] = []
    for start, resource_type in EVENT_SUBSCRIPTIONS.items():
        path = f"{build_collection_path(resource_type)}/{{name}}"
        found += [
            build_arm_route("PATCH", path, _update_handler(start, resource_type)),
            build_arm_route(
                "POST", f"{path}/getFullUrl", _build_full_url_handler(start, resource_type)
            ),
        ]
    return found


def show_event_subscription(document: JsonObject) -> JsonObject:
    properties = document.get("properties", {})
    destination = properties.get("destination") or {}
    if destination.get("endpointType") != "WebHook":
        return document
    webhook = dict(destination["properties"])
    webhook["endpointBaseUrl"] = webhook.pop("endpointUrl").partition("?")[0]
    shown = destination | {"properties": webhook}
    return document | {"properties": properties | {"destination": shown}}


def _update_handler(start: str, resource_type: str) -> ArmHandler:
    async def update_event_subscription(call: ArmCall) -> Response:
        there, change = _find_subscription(call, resource_type), await call.read_json()
        destination = change.get("destination") or {}
        if destination.get("endpointType") == "WebHook":
            _require_validated(call.tenant, str(destination["properties"].get("endpointUrl")))
        written = there | {"properties": there["properties"] | change}
        call.azure.resources.put(written)
        return JSONResponse(show_event_subscription(written), 201)

    update_event_subscription.__name__ = f"update_{start}event_subscription"
    return update_event_subscription


def _build_full_url_handler(start: str, resource_type: str) -> ArmHandler:
    async def get_full_url(call: ArmCall) -> JsonObject:
        destination = _find_subscription(call, resource_type)["properties"].get("destination") or {}
        return {"endpointUrl": (destination.get("properties") or {}).get("endpointUrl")}

    get_full_url.__name__ = f"get_{start}event_subscription_full_url"
    return get_full_url


def _find_subscription(call: ArmCall, resource_type: str) -> JsonObject:
    return call.get_existing(resource_type, *call.list_path_names())


def _require_validated(tenant: Tenant, url: str) -> None:
    """Reject the URL of a flow that cannot validate a webhook.

    Systems other than flows are assumed to answer.
    """
    parts = urlsplit(url)
    path = _FLOW_PATH.search(parts.path)
    found = tenant.get_part(PowerPlatform).find_called_flow(path["workflow"]) if path else None
    if found is None:
        return
    _, flow = found
    signed = dict(parse_qsl(parts.query)).get("sig") == flow.compute_signature()
    if not signed or flow.state is not SimulatedFlowState.STARTED:
        raise _build_error("the endpoint rejected the event")
    if "validationResponse" not in flow.client_data:
        raise _build_error("the response has no validation code")


def _build_error(text: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(
        400, "Url validation", f"Webhook validation handshake failed: {text}."
    )
