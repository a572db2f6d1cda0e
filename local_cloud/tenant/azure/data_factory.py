"""Serve the parts of a data factory: a PUT replaces the whole part, if it has the ETag that
`If-Match` names.

Secure values are stored and shown as asterisks; what is sent back is stored. See
platform.md#data-factory.
"""

import hashlib
import json

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, ArmHandler, arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

FACTORIES = "Microsoft.DataFactory/factories"
#: What a list and an item are called in route names → resource type.
PARTS = {
    ("datasets", "dataset"): f"{FACTORIES}/datasets",
    ("global_parameters", "global_parameter"): f"{FACTORIES}/globalParameters",
    ("linked_services", "linked_service"): f"{FACTORIES}/linkedservices",
    ("pipelines", "pipeline"): f"{FACTORIES}/pipelines",
    ("triggers", "trigger"): f"{FACTORIES}/triggers",
}
_MASK = "**********"
_GLOBAL_PARAMETERS = f"{FACTORIES}/globalParameters"


def routes() -> list[Route]:
    """Return the routes that write; readable_resources.py has those that read."""
    found: list[Route] = []
    for (_, singular), resource_type in PARTS.items():
        path = (
            f"{GROUP}/providers/{FACTORIES}/{{parent}}/{resource_type.rpartition('/')[2]}/{{name}}"
        )
        found.append(arm_route("PUT", path, _put_handler(singular, resource_type)))
    return found


def show_part(document: JsonObject) -> JsonObject:
    """Return a part as it is read: with its ETag, and without secure values."""
    return document | {
        "properties": _mask(document.get("properties", {})),
        "etag": _compute_etag(document),
    }


def _put_handler(singular: str, resource_type: str) -> ArmHandler:
    async def put_part(call: ArmCall) -> Response:
        factory, name = call.path("parent"), call.path("name")
        call.get_existing(FACTORIES, factory)
        identity = call.resource_id(resource_type, factory, name)
        there = call.azure.resources.find(resource_type, identity)
        if resource_type != _GLOBAL_PARAMETERS:
            _require_etag(call, there)
        properties = (await call.json()).get("properties")
        _check_properties(resource_type, name, properties)
        if there and there.get("properties", {}).get("runtimeState") == "Started":
            raise SimulatedPlatformError(
                400,
                "TriggerEnabledCannotUpdate",
                "Cannot update enabled Trigger; the trigger needs to be disabled first.",
            )
        document = {
            "id": there["id"] if there else identity,
            "name": there["name"] if there else name,
            "type": resource_type,
            "properties": properties,
        }
        call.azure.resources.put(document)
        return JSONResponse(show_part(document))

    put_part.__name__ = f"put_{singular}"
    return put_part


def _require_etag(call: ArmCall, there: JsonObject | None) -> None:
    """Reject (412) a write that names another ETag, with or without quotes."""
    wanted = call.request.headers.get("If-Match")
    if wanted in (None, "*"):
        return
    if there is None or wanted.strip('"') != _compute_etag(there):
        raise SimulatedPlatformError(412, "PreconditionFailed", "The resource was changed.")


def _check_properties(resource_type: str, name: str, properties: object) -> None:
    """Raise PlatformError 400 if the service rejects the properties."""
    kind = resource_type.rpartition("/")[2]
    if not isinstance(properties, dict):
        problem = "The document has no 'properties'."
    elif kind in ("datasets", "linkedservices", "triggers") and "type" not in properties:
        problem = "The property 'type' is required."
    elif kind == "pipelines" and not isinstance(properties.get("activities", []), list):
        problem = "The property 'activities' must be a list."
    elif kind == "globalParameters" and name != "default":
        problem = "The name of global parameters must be 'default'."
    elif kind == "globalParameters" and not all(
        isinstance(one, dict) and {"type", "value"} <= one.keys() for one in properties.values()
    ):
        problem = "A global parameter must have a type and a value."
    else:
        return
    raise SimulatedPlatformError(400, "BadRequest", problem)


def _mask(value: object) -> object:
    """Return a value with each secure one replaced by asterisks."""
    if isinstance(value, list):
        return [_mask(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_secure = str(value.get("type")).lower() == "securestring"
    return {
        name: _MASK if is_secure and name in ("value", "defaultValue") else _mask(member)
        for name, member in value.items()
    }


def _compute_etag(document: JsonObject) -> str:
    """Return the ETag of a document, which changes with the document."""
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
