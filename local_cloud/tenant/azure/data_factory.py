"""Serve the writes of a data factory's parts, such as pipelines.

A PUT replaces the whole part. It is rejected if `If-Match` names another ETag than the part's. See
platform.md#data-factory.
"""

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, ArmHandler, build_arm_route
from local_cloud.tenant.azure.published_parts import (
    require_etag,
    require_valid_part,
    set_publish_time,
    show_part,
)
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
_GLOBAL_PARAMETERS = f"{FACTORIES}/globalParameters"


def build_routes() -> list[Route]:
    found: list[Route] = []
    for (_, singular), resource_type in PARTS.items():
        path = (
            f"{GROUP}/providers/{FACTORIES}/{{parent}}/{resource_type.rpartition('/')[2]}/{{name}}"
        )
        found.append(build_arm_route("PUT", path, _put_handler(singular, resource_type)))
    return found


def _put_handler(singular: str, resource_type: str) -> ArmHandler:
    async def put_part(call: ArmCall) -> Response:
        factory, name = call.get_path_part("parent"), call.get_path_part("name")
        call.get_existing(FACTORIES, factory)
        identity = call.build_resource_id(resource_type, factory, name)
        there = call.azure.resources.find(resource_type, identity)

        def has_item(collection: str, wanted: str) -> bool:
            kind = f"{FACTORIES}/{collection}"
            found = call.build_resource_id(kind, factory, wanted)
            return call.azure.resources.find(kind, found) is not None

        if resource_type != _GLOBAL_PARAMETERS:
            require_etag(call.request.headers.get("If-Match"), there)
        properties = (await call.read_json()).get("properties")
        require_valid_part(resource_type.rpartition("/")[2], properties, there, has_item)
        if resource_type == _GLOBAL_PARAMETERS:
            _require_valid_global_parameters(name, properties)
        document = {
            "id": there["id"] if there else identity,
            "name": there["name"] if there else name,
            "type": resource_type,
            "properties": properties,
        }
        document = set_publish_time(document, call.tenant.clock.now())
        call.azure.resources.put(document)
        return JSONResponse(show_part(document))

    put_part.__name__ = f"put_{singular}"
    return put_part


def _require_valid_global_parameters(name: str, properties: object) -> None:
    if name != "default":
        problem = "The name of global parameters must be 'default'."
    elif not isinstance(properties, dict) or not all(
        isinstance(one, dict) and {"type", "value"} <= one.keys() for one in properties.values()
    ):
        problem = "A global parameter must have a type and a value."
    else:
        return
    raise SimulatedPlatformError(400, "BadRequest", problem)
