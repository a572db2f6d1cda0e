"""Resources that are only listed and read: one line each in a table.

The documents come from the seed, in the shape Resource Manager answers with
(platform-contract.md §4, §8, §9.4).
"""

from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import (
    GROUP,
    SUBSCRIPTION,
    ArmCall,
    ArmHandler,
    arm_route,
)
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import SECURITY_GROUPS, SITES, SLOTS, VAULTS

#: What a list and an item are called in route names → resource type.
READABLE = {
    ("vaults", "vault"): VAULTS,
    ("sites", "site"): SITES,
    ("slots", "slot"): SLOTS,
    ("network_security_groups", "network_security_group"): SECURITY_GROUPS,
    ("azure_firewalls", "azure_firewall"): "Microsoft.Network/azureFirewalls",
    ("firewall_policies", "firewall_policy"): "Microsoft.Network/firewallPolicies",
    ("rule_collection_groups", "rule_collection_group"): (
        "Microsoft.Network/firewallPolicies/ruleCollectionGroups"
    ),
    ("ip_groups", "ip_group"): "Microsoft.Network/ipGroups",
    ("public_ip_addresses", "public_ip_address"): "Microsoft.Network/publicIPAddresses",
    ("route_tables", "route_table"): "Microsoft.Network/routeTables",
    ("storage_accounts", "storage_account"): "Microsoft.Storage/storageAccounts",
    ("sql_servers", "sql_server"): "Microsoft.Sql/servers",
    ("sql_firewall_rules", "sql_firewall_rule"): "Microsoft.Sql/servers/firewallRules",
    ("logic_apps", "logic_app"): "Microsoft.Logic/workflows",
    ("system_topics", "system_topic"): "Microsoft.EventGrid/systemTopics",
    ("event_subscriptions", "event_subscription"): (
        "Microsoft.EventGrid/systemTopics/eventSubscriptions"
    ),
    ("metric_alerts", "metric_alert"): "Microsoft.Insights/metricAlerts",
    ("action_groups", "action_group"): "Microsoft.Insights/actionGroups",
}


def routes() -> list[Route]:
    """Return the routes of every type in the table."""
    found: list[Route] = []
    for (plural, singular), resource_type in READABLE.items():
        list_handler, get_handler = (
            _list_handler(plural, resource_type),
            _get_handler(singular, resource_type),
        )
        collection = _collection(resource_type)
        if resource_type.count("/") == 1:
            path = f"{SUBSCRIPTION}/providers/{resource_type}"
            found.append(arm_route("GET", path, list_handler))
        found.append(arm_route("GET", collection, list_handler))
        found.append(arm_route("GET", f"{collection}/{{name}}", get_handler))
    return found


def _collection(resource_type: str) -> str:
    namespace, kind, *child = resource_type.split("/")
    path = f"{GROUP}/providers/{namespace}/{kind}"
    return path + "".join(f"/{{parent}}/{each}" for each in child)


def _names(call: ArmCall) -> list[str]:
    parameters = call.request.path_params
    return [parameters[key] for key in ("parent", "name") if key in parameters]


def _list_handler(plural: str, resource_type: str) -> ArmHandler:
    async def list_resources(call: ArmCall) -> JsonObject:
        documents = call.azure.resources.within(resource_type, call.scope)
        if parents := _names(call):
            parent = call.existing(resource_type.rpartition("/")[0], *parents)
            start = parent["id"].lower() + "/"
            documents = [each for each in documents if each["id"].lower().startswith(start)]
        return call.page(documents)

    list_resources.__name__ = f"list_{plural}"
    return list_resources


def _get_handler(singular: str, resource_type: str) -> ArmHandler:
    async def get_resource(call: ArmCall) -> JsonObject:
        return call.existing(resource_type, *_names(call))

    get_resource.__name__ = f"get_{singular}"
    return get_resource
