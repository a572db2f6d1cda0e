"""Serve `management.azure.com`: subscriptions, resources, and all resource providers."""

import re
from collections.abc import Callable, Mapping

from starlette.routing import Route

from local_cloud.tenant.azure import (
    api_management,
    container_apps,
    data_factory,
    enterprise_policies,
    event_subscriptions,
    key_resources,
    logic_apps,
    network,
    policy_restrictions,
    readable_resources,
    role_assignments,
    service_tags_api,
    site_files,
    site_settings,
    subscription_facts,
    writable_network,
    writable_services,
)
from local_cloud.tenant.azure.arm_call import GROUP, HOST, SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.azure.locks import LOCKS
from local_cloud.tenant.azure.providers import list_resource_providers
from local_cloud.tenant.azure.resources import JsonObject, ResourceScope
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant

HOSTS = (HOST,)

OPTIONS = {
    **role_assignments.OPTIONS,
    **subscription_facts.OPTIONS,
    **readable_resources.OPTIONS,
    **api_management.OPTIONS,
    **site_files.OPTIONS,
    "list_resources": ("$filter", "$expand"),
    "list_service_tag_details": ("tagName", "noAddressPrefixes"),
}

#: Fields that a filter of a list of resources may compare.
_FILTERED: Mapping[str, Callable[[JsonObject], str]] = {
    "resourcetype": lambda each: str(each["type"]),
    "name": lambda each: str(each["name"]),
    "location": lambda each: str(each.get("location", "")).replace(" ", ""),
    "resourcegroup": lambda each: str(each["id"]).split("/")[4],
}
#: What a list of resources shows of each; the rest takes a GET of its own.
_LISTED = ("id", "name", "type", "kind", "location", "tags", "identity")


def build_routes(tenant: Tenant) -> list[Route]:
    del tenant  # Handlers find it in the request.
    return [
        build_arm_route("GET", "/subscriptions", list_subscriptions),
        build_arm_route("GET", SUBSCRIPTION, get_subscription),
        build_arm_route("GET", f"{SUBSCRIPTION}/resourceGroups", list_resource_groups),
        build_arm_route("GET", GROUP, get_resource_group),
        build_arm_route("GET", f"{SUBSCRIPTION}/resources", list_resources),
        build_arm_route("GET", f"{GROUP}/resources", list_resources),
        build_arm_route("GET", f"{SUBSCRIPTION}/providers/{LOCKS}", list_locks),
        *enterprise_policies.build_routes(),
        *key_resources.build_routes(),
        *role_assignments.build_routes(),
        *readable_resources.build_routes(),
        *site_files.build_routes(),
        *site_settings.build_routes(),
        *network.build_routes(),
        *writable_network.build_routes(),
        *(route for one in list_resource_providers() for route in one.routes()),
        *container_apps.build_routes(),
        *data_factory.build_routes(),
        *event_subscriptions.build_routes(),
        *logic_apps.build_routes(),
        *writable_services.build_routes(),
        *api_management.build_routes(),
        *service_tags_api.build_routes(),
        *policy_restrictions.build_routes(),
        *subscription_facts.build_routes(),
    ]


async def list_subscriptions(call: ArmCall) -> JsonObject:
    return call.build_page([_build_subscription(call, each) for each in call.azure.subscriptions])


async def get_subscription(call: ArmCall) -> JsonObject:
    return _build_subscription(call, call.get_path_part("subscription").lower())


async def list_locks(call: ArmCall) -> JsonObject:
    start = call.scope.prefix
    return call.build_page([one for one in call.azure.locks if one["id"].lower().startswith(start)])


async def list_resource_groups(call: ArmCall) -> JsonObject:
    return call.build_page(_list_groups(call))


async def get_resource_group(call: ArmCall) -> JsonObject:
    wanted = call.get_path_part("group")
    for group in _list_groups(call):
        if group["name"].lower() == wanted.lower():
            return group
    message = f"Resource group '{wanted}' could not be found."
    raise SimulatedPlatformError(404, "ResourceGroupNotFound", message)


def _list_groups(call: ArmCall) -> list[JsonObject]:
    scope = ResourceScope(subscription=call.get_path_part("subscription"))
    ids = [each["id"].split("/") for each in call.azure.resources.list_top_level(scope)]
    return [
        {
            "id": f"/subscriptions/{call.get_path_part('subscription')}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": "westeurope",
            "properties": {"provisioningState": "Succeeded"},
        }
        for name in dict.fromkeys(parts[4] for parts in ids)
    ]


async def list_resources(call: ArmCall) -> JsonObject:
    wanted = _parse_filter(call.request.query_params.get("$filter", ""))
    documents = [
        each
        for each in call.azure.resources.list_top_level(call.scope)
        if all(_FILTERED[field](each).lower() == value for field, value in wanted)
    ]
    expanded = call.request.query_params.get("$expand", "")
    more = {"provisioningState": "Succeeded"} if "provisioningState" in expanded else {}
    return call.build_page(
        [{k: each[k] for k in _LISTED if k in each} | more for each in documents]
    )


def _parse_filter(text: str) -> list[tuple[str, str]]:
    """Return the field and value of each `field eq 'value'` in a filter. Rejects (400) other
    filters.
    """
    found: list[tuple[str, str]] = []
    for clause in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text else ():
        match = re.fullmatch(r"(\w+)\s+eq\s+'([^']+)'", clause.strip(), re.IGNORECASE)
        if match is None or match[1].lower() not in _FILTERED:
            raise SimulatedPlatformError(
                400, "InvalidFilterInQueryString", f"Invalid $filter '{text}'."
            )
        found.append((match[1].lower(), match[2].lower()))
    return found


def _build_subscription(call: ArmCall, subscription: str) -> JsonObject:
    return {
        "id": f"/subscriptions/{subscription}",
        "subscriptionId": subscription,
        "tenantId": call.tenant_id,
        "displayName": call.azure.subscriptions[subscription],
        "state": "Enabled",
        "authorizationSource": "RoleBased",
    }
