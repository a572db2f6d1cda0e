"""Serve the operations of `Microsoft.Network` that list service tags.

See platform.md#service-tag-api.
"""

from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/{{location}}"


def build_routes() -> list[Route]:
    return [
        build_arm_route("GET", f"{_LOCATION}/serviceTags", list_service_tags),
        build_arm_route("GET", f"{_LOCATION}/serviceTagDetails", list_service_tag_details),
    ]


async def list_service_tags(call: ArmCall) -> JsonObject:
    """List all service tags. The location in the path does not limit the list."""
    tags = call.azure.service_tags
    head = {
        "name": "Public",
        "id": f"/subscriptions/{call.scope.subscription}"
        "/providers/Microsoft.Network/serviceTags/Public",
        "type": "Microsoft.Network/serviceTags",
        # A string here, an integer in the downloaded file (platform.md#service-tag-file).
        "changeNumber": tags.change_number,
        "cloud": "Public",
    }
    return head | call.build_page([tag.as_resource() for tag in tags], member="values")


async def list_service_tag_details(call: ArmCall) -> JsonObject:
    tags = list(call.azure.service_tags)
    if name := call.request.query_params.get("tagName"):
        tag = call.azure.service_tags.find(name)
        if tag is None:
            raise SimulatedPlatformError(
                400, "InvalidServiceTagName", f"No service tag is named '{name}'."
            )
        tags = [tag]
    entries = [tag.as_resource() for tag in tags]
    if call.request.query_params.get("noAddressPrefixes", "").lower() == "true":
        for entry in entries:
            del entry["properties"]["addressPrefixes"]
    return call.build_page(entries)
