"""Serve the writes of Logic Apps (Consumption). A PUT replaces the whole resource, without ETag.

Values of secure parameters are stored and never returned. See platform.md#logic-apps.
"""

import uuid
from collections.abc import Iterator

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

LOGIC_APPS = "Microsoft.Logic/workflows"
_PATH = f"{GROUP}/providers/{LOGIC_APPS}/{{name}}"


def build_routes() -> list[Route]:
    return [
        build_arm_route("PUT", _PATH, put_logic_app),
        build_arm_route("POST", f"{_PATH}/enable", enable_logic_app),
        build_arm_route("POST", f"{_PATH}/disable", disable_logic_app),
    ]


async def put_logic_app(call: ArmCall) -> Response:
    name, body = call.get_path_part("name"), await call.read_json()
    identity = call.build_resource_id(LOGIC_APPS, name)
    there = call.azure.resources.find(LOGIC_APPS, identity)
    if not body.get("location"):
        raise SimulatedPlatformError(
            400, "LocationRequired", "The location property is required for this definition."
        )
    properties = _read_properties(body)
    _require_values(properties)
    now = call.tenant.clock.now().isoformat()
    set_by_azure = {
        "version": uuid.uuid4().hex,
        "createdTime": (there or {}).get("properties", {}).get("createdTime", now),
        "changedTime": now,
        "provisioningState": "Succeeded",
    }
    document: JsonObject = {
        "id": there["id"] if there else identity,
        "name": name,
        "type": LOGIC_APPS,
        **{key: body[key] for key in ("location", "tags", "identity") if key in body},
        "properties": {"state": "Enabled", **properties, **set_by_azure},
    }
    call.azure.resources.put(document)
    return JSONResponse(without_secure_values(document), 200 if there else 201)


async def enable_logic_app(call: ArmCall) -> Response:
    return _set_state(call, "Enabled")


async def disable_logic_app(call: ArmCall) -> Response:
    return _set_state(call, "Disabled")


def without_secure_values(document: JsonObject) -> JsonObject:
    properties = document.get("properties", {})
    secure = set(_find_secure_parameters(properties))
    shown = {
        name: {} if name in secure else value
        for name, value in (properties.get("parameters") or {}).items()
    }
    return document | {"properties": properties | {"parameters": shown}}


def _set_state(call: ArmCall, state: str) -> Response:
    document = call.get_existing(LOGIC_APPS, call.get_path_part("name"))
    call.azure.resources.put(document | {"properties": document["properties"] | {"state": state}})
    return Response(status_code=200)


def _read_properties(body: JsonObject) -> JsonObject:
    properties = body.get("properties")
    definition = properties.get("definition") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(definition, dict):
        raise SimulatedPlatformError(
            400, "InvalidRequestContent", "The request content must have a workflow definition."
        )
    return properties


def _require_values(properties: JsonObject) -> None:
    declared = properties["definition"].get("parameters") or {}
    given = properties.get("parameters") or {}
    if undeclared := sorted(given.keys() - declared.keys()):
        raise _build_template_error(
            f"The workflow parameters '{', '.join(undeclared)}' are not declared."
        )
    for name, declaration in declared.items():
        if "defaultValue" not in declaration and "value" not in given.get(name, {}):
            raise _build_template_error(
                f"The value for the workflow parameter '{name}' is not provided."
            )


def _build_template_error(text: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(400, "InvalidTemplate", text)


def _find_secure_parameters(properties: JsonObject) -> Iterator[str]:
    declared = (properties.get("definition") or {}).get("parameters") or {}
    for name, declaration in declared.items():
        if str(declaration.get("type")).lower() in ("securestring", "secureobject"):
            yield name
