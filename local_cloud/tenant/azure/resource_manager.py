"""`management.azure.com`: subscriptions, lists of resources, and the providers beside this file."""

import re

from starlette.routing import Route

from local_cloud.tenant.azure import (
    enterprise_policies,
    network,
    readable_resources,
    role_assignments,
    service_tags_api,
    site_settings,
    writable_network,
)
from local_cloud.tenant.azure.arm_call import GROUP, HOST, SUBSCRIPTION, ArmCall, arm_route
from local_cloud.tenant.azure.resources import JsonObject, ResourceScope
from local_cloud.tenant.core.platform_error import PlatformError
from local_cloud.tenant.core.tenant import Tenant

HOSTS = (HOST,)

OPTIONS = {
    **role_assignments.OPTIONS,
    "list_resources": ("$filter",),
    "list_service_tag_details": ("tagName", "noAddressPrefixes"),
}

#: What a list of resources shows of each; the rest takes a GET of its own.
_LISTED = ("id", "name", "type", "kind", "location", "tags", "identity")


def routes(tenant: Tenant) -> list[Route]:
    """Return every route of Resource Manager."""
    del tenant  # Handlers find it in the request.
    return [
        arm_route("GET", "/subscriptions", list_subscriptions),
        arm_route("GET", SUBSCRIPTION, get_subscription),
        arm_route("GET", f"{SUBSCRIPTION}/resourceGroups", list_resource_groups),
        arm_route("GET", GROUP, get_resource_group),
        arm_route("GET", f"{SUBSCRIPTION}/resources", list_resources),
        arm_route("GET", f"{GROUP}/resources", list_resources),
        *enterprise_policies.routes(),
        *role_assignments.routes(),
        *readable_resources.routes(),
        *site_settings.routes(),
        *network.routes(),
        *writable_network.routes(),
        *service_tags_api.routes(),
    ]


async def list_subscriptions(call: ArmCall) -> JsonObject:
    """List the subscriptions of the tenant."""
    return call.page([_subscription(call, each) for each in call.azure.subscriptions])


async def get_subscription(call: ArmCall) -> JsonObject:
    """Return one subscription."""
    return _subscription(call, call.path("subscription").lower())


async def list_resource_groups(call: ArmCall) -> JsonObject:
    """List the groups that resources are in."""
    return call.page(_groups(call))


async def get_resource_group(call: ArmCall) -> JsonObject:
    """Return one of them."""
    wanted = call.path("group")
    for group in _groups(call):
        if group["name"].lower() == wanted.lower():
            return group
    message = f"Resource group '{wanted}' could not be found."
    raise PlatformError(404, "ResourceGroupNotFound", message)


def _groups(call: ArmCall) -> list[JsonObject]:
    scope = ResourceScope(subscription=call.path("subscription"))
    ids = [each["id"].split("/") for each in call.azure.resources.top_level(scope)]
    return [
        {
            "id": f"/subscriptions/{call.path('subscription')}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": "westeurope",
            "properties": {"provisioningState": "Succeeded"},
        }
        for name in dict.fromkeys(parts[4] for parts in ids)
    ]


async def list_resources(call: ArmCall) -> JsonObject:
    """List resources; `$filter=resourceType eq 'Microsoft.Web/sites'` is the filter understood."""
    documents = call.azure.resources.top_level(call.scope)
    wanted = _filtered_type(call.request.query_params.get("$filter", ""))
    if wanted is not None:
        documents = [each for each in documents if each["type"].lower() == wanted]
    return call.page([{k: each[k] for k in _LISTED if k in each} for each in documents])


def _filtered_type(text: str) -> str | None:
    """The type that a filter asks for, None without one; PlatformError 400 for any other filter."""
    if not text:
        return None
    match = re.fullmatch(r"\s*resourceType\s+eq\s+'([^']+)'\s*", text, re.IGNORECASE)
    if match is None:
        raise PlatformError(400, "InvalidFilterInQueryString", f"Invalid $filter '{text}'.")
    return match[1].lower()


def _subscription(call: ArmCall, subscription: str) -> JsonObject:
    return {
        "id": f"/subscriptions/{subscription}",
        "subscriptionId": subscription,
        "tenantId": call.tenant_id,
        "displayName": call.azure.subscriptions[subscription],
        "state": "Enabled",
        "authorizationSource": "RoleBased",
    }
