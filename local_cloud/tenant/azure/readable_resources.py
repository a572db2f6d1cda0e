"""Serve types of resources that can be listed and read, from a table with one row for each type.

The documents come from the seed, in the format of Resource Manager (platform.md#vault-api,
#app-settings, #firewall-resources).
"""

from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import (
    SUBSCRIPTION,
    ArmCall,
    ArmHandler,
    build_arm_route,
    build_collection_path,
)
from local_cloud.tenant.azure.container_apps import CONTAINER_APPS, REVISIONS, show_container_app
from local_cloud.tenant.azure.data_factory import FACTORIES, PARTS
from local_cloud.tenant.azure.event_subscriptions import (
    EVENT_SUBSCRIPTIONS,
    show_event_subscription,
)
from local_cloud.tenant.azure.key_values import STORES
from local_cloud.tenant.azure.logic_apps import LOGIC_APPS, without_secure_values
from local_cloud.tenant.azure.providers import list_resource_providers
from local_cloud.tenant.azure.published_parts import show_part as show_published_part
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import (
    SECURITY_GROUPS,
    SERVER_FARMS,
    SITES,
    SLOTS,
    VAULTS,
)
from local_cloud.tenant.azure.synapse import WORKSPACES, show_workspace
from local_cloud.tenant.azure.writable_network import build_shown_resource
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

#: What a list and an item are called in route names → resource type.
READABLE = {
    ("vaults", "vault"): VAULTS,
    ("sites", "site"): SITES,
    ("slots", "slot"): SLOTS,
    ("server_farms", "server_farm"): SERVER_FARMS,
    ("network_security_groups", "network_security_group"): SECURITY_GROUPS,
    ("azure_firewalls", "azure_firewall"): "Microsoft.Network/azureFirewalls",
    ("firewall_policies", "firewall_policy"): "Microsoft.Network/firewallPolicies",
    ("rule_collection_groups", "rule_collection_group"): (
        "Microsoft.Network/firewallPolicies/ruleCollectionGroups"
    ),
    ("ip_groups", "ip_group"): "Microsoft.Network/ipGroups",
    ("public_ip_addresses", "public_ip_address"): "Microsoft.Network/publicIPAddresses",
    ("network_interfaces", "network_interface"): "Microsoft.Network/networkInterfaces",
    ("route_tables", "route_table"): "Microsoft.Network/routeTables",
    ("storage_accounts", "storage_account"): "Microsoft.Storage/storageAccounts",
    ("sql_servers", "sql_server"): "Microsoft.Sql/servers",
    ("sql_firewall_rules", "sql_firewall_rule"): "Microsoft.Sql/servers/firewallRules",
    ("container_apps", "container_app"): CONTAINER_APPS,
    ("revisions", "revision"): REVISIONS,
    ("logic_apps", "logic_app"): LOGIC_APPS,
    ("configuration_stores", "configuration_store"): STORES,
    ("data_factories", "data_factory"): FACTORIES,
    **PARTS,
    ("synapse_workspaces", "synapse_workspace"): WORKSPACES,
    ("domains", "domain"): "Microsoft.EventGrid/domains",
    ("domain_topics", "domain_topic"): "Microsoft.EventGrid/domains/topics",
    ("partner_topics", "partner_topic"): "Microsoft.EventGrid/partnerTopics",
    ("topics", "topic"): "Microsoft.EventGrid/topics",
    ("system_topics", "system_topic"): "Microsoft.EventGrid/systemTopics",
    **{
        (f"{start}event_subscriptions", f"{start}event_subscription"): resource_type
        for start, resource_type in EVENT_SUBSCRIPTIONS.items()
    },
    ("metric_alerts", "metric_alert"): "Microsoft.Insights/metricAlerts",
    ("action_groups", "action_group"): "Microsoft.Insights/actionGroups",
    ("postgresql_servers", "postgresql_server"): "Microsoft.DBforPostgreSQL/flexibleServers",
    ("postgresql_firewall_rules", "postgresql_firewall_rule"): (
        "Microsoft.DBforPostgreSQL/flexibleServers/firewallRules"
    ),
    ("older_postgresql_servers", "older_postgresql_server"): "Microsoft.DBforPostgreSQL/servers",
    ("older_postgresql_firewall_rules", "older_postgresql_firewall_rule"): (
        "Microsoft.DBforPostgreSQL/servers/firewallRules"
    ),
    ("service_bus_namespaces", "service_bus_namespace"): "Microsoft.ServiceBus/namespaces",
    ("service_bus_rule_sets", "service_bus_rule_set"): (
        "Microsoft.ServiceBus/namespaces/networkRuleSets"
    ),
    ("event_hubs_namespaces", "event_hubs_namespace"): "Microsoft.EventHub/namespaces",
    ("event_hubs_rule_sets", "event_hubs_rule_set"): (
        "Microsoft.EventHub/namespaces/networkRuleSets"
    ),
    ("api_management_services", "api_management_service"): "Microsoft.ApiManagement/service",
    **{names: each for one in list_resource_providers() for names, each in one.readable.items()},
}

#: Types that are shown without secret values.
_SHOWN = {
    CONTAINER_APPS.lower(): show_container_app,
    **{one.lower(): show_published_part for one in PARTS.values()},
    **{one.lower(): show_event_subscription for one in EVENT_SUBSCRIPTIONS.values()},
    LOGIC_APPS.lower(): without_secure_values,
    WORKSPACES.lower(): show_workspace,
    **{
        resource_type.lower(): show
        for one in list_resource_providers()
        for resource_type, show in one.shown.items()
    },
}
#: What the lists of Event Grid take beside what all lists take.
OPTIONS = {
    f"list_{plural}": ("$top",)
    for (plural, _), resource_type in READABLE.items()
    if resource_type.startswith("Microsoft.EventGrid/")
}


def build_routes() -> list[Route]:
    found: list[Route] = []
    for (plural, singular), resource_type in READABLE.items():
        list_handler, get_handler = (
            _list_handler(plural, resource_type),
            _get_handler(singular, resource_type),
        )
        collection = build_collection_path(resource_type)
        if resource_type.count("/") == 1:
            path = f"{SUBSCRIPTION}/providers/{resource_type}"
            found.append(build_arm_route("GET", path, list_handler))
        found.append(build_arm_route("GET", collection, list_handler))
        found.append(build_arm_route("GET", f"{collection}/{{name}}", get_handler))
    return found


def _list_handler(plural: str, resource_type: str) -> ArmHandler:
    async def list_resources(call: ArmCall) -> JsonObject:
        _require_provider(call, resource_type.partition("/")[0])
        documents = call.azure.resources.list_within(resource_type, call.scope)
        if parents := call.list_path_names():
            parent = call.get_existing(resource_type.rpartition("/")[0], *parents)
            start = parent["id"].lower() + "/"
            documents = [each for each in documents if each["id"].lower().startswith(start)]
        return call.build_page([_show_resource(call, each) for each in documents])

    list_resources.__name__ = f"list_{plural}"
    return list_resources


def _require_provider(call: ArmCall, namespace: str) -> None:
    """Reject (409) a list if the subscription has no resource of the provider.

    In Azure, a registration needs no resource.
    """
    if not call.azure.resources.has_provider(namespace, call.scope):
        raise SimulatedPlatformError(
            409,
            "MissingSubscriptionRegistration",
            f"The subscription is not registered to use namespace '{namespace}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions.",
        )


def _get_handler(singular: str, resource_type: str) -> ArmHandler:
    async def get_resource(call: ArmCall) -> JsonObject:
        return _show_resource(call, call.get_existing(resource_type, *call.list_path_names()))

    get_resource.__name__ = f"get_{singular}"
    return get_resource


def _show_resource(call: ArmCall, document: JsonObject) -> JsonObject:
    show = _SHOWN.get(document["type"].lower())
    return show(document) if show else build_shown_resource(call.azure, document)
