"""Serve the regions and resource providers of a subscription, which clients read first."""

from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.azure.readable_resources import READABLE
from local_cloud.tenant.azure.resources import JsonObject, ResourceScope
from local_cloud.tenant.azure.state import POLICIES
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

#: Name → display name of the regions that seeds use.
_REGIONS = {
    "eastus": "East US",
    "westus": "West US",
    "northeurope": "North Europe",
    "westeurope": "West Europe",
    "uksouth": "UK South",
    "spaincentral": "Spain Central",
}
#: The api-version that a provider offers for every type; the tenant accepts any.
_API_VERSION = "2023-07-01"
OPTIONS = {
    "list_geo_regions": ("sku", "linuxWorkersEnabled"),
    "list_providers": ("$expand",),
    "get_provider": ("$expand",),
}


def build_routes() -> list[Route]:
    return [
        build_arm_route("GET", f"{SUBSCRIPTION}/locations", list_locations),
        build_arm_route("GET", f"{SUBSCRIPTION}/providers", list_providers),
        build_arm_route("GET", f"{SUBSCRIPTION}/providers/{{namespace}}", get_provider),
        build_arm_route(
            "GET", f"{SUBSCRIPTION}/providers/Microsoft.Web/geoRegions", list_geo_regions
        ),
        build_arm_route(
            "POST", f"{SUBSCRIPTION}/providers/{{namespace}}/register", register_provider
        ),
    ]


async def list_locations(call: ArmCall) -> JsonObject:
    """List the regions. Azure also lists edge zones, which have another type."""
    start = f"/subscriptions/{call.get_path_part('subscription')}/locations"
    return {
        "value": [
            {
                "id": f"{start}/{name}",
                "name": name,
                "type": "Region",
                "displayName": display_name,
                "regionalDisplayName": display_name,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
            }
            for name, display_name in _REGIONS.items()
        ]
    }


async def list_geo_regions(call: ArmCall) -> JsonObject:
    start = (
        f"/subscriptions/{call.get_path_part('subscription')}/providers/Microsoft.Web/geoRegions"
    )
    return call.build_page(
        [
            {"id": f"{start}/{name}", "name": name, "type": "Microsoft.Web/geoRegions"}
            | {"properties": {"name": name, "displayName": name, "orgDomain": "PUBLIC;LINUX"}}
            for name in _REGIONS.values()
        ]
    )


async def list_providers(call: ArmCall) -> JsonObject:
    return call.build_page(
        [_build_provider(call, namespace) for namespace in _group_types_by_namespace()]
    )


async def get_provider(call: ArmCall) -> JsonObject:
    return _build_provider(call, call.get_path_part("namespace"))


async def register_provider(call: ArmCall) -> JsonObject:
    """Return the provider unchanged. Here, it becomes registered only with its first resource."""
    return _build_provider(call, call.get_path_part("namespace"))


def _build_provider(call: ArmCall, wanted: str) -> JsonObject:
    found = [name for name in _group_types_by_namespace() if name.lower() == wanted.lower()]
    if not found:
        raise SimulatedPlatformError(
            404, "InvalidResourceNamespace", f"The resource namespace '{wanted}' is invalid."
        )
    [namespace] = found
    scope = ResourceScope(subscription=call.get_path_part("subscription"))
    is_registered = call.azure.resources.has_provider(namespace, scope)
    return {
        "id": f"/subscriptions/{scope.subscription}/providers/{namespace}",
        "namespace": namespace,
        "registrationState": "Registered" if is_registered else "NotRegistered",
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": [*_REGIONS.values()],
                "apiVersions": [_API_VERSION],
                "capabilities": "SupportsTags, SupportsLocation",
            }
            for kind in _group_types_by_namespace()[namespace]
        ],
    }


def _group_types_by_namespace() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for resource_type in (*READABLE.values(), POLICIES):
        namespace, _, kind = resource_type.partition("/")
        found.setdefault(namespace, []).append(kind)
    return found
