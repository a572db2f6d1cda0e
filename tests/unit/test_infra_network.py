import json

import pytest

from tests.unit.deployed import Resource, find_resource, find_resources, read_predicted_resources

#: Sets of parameters without public addresses.
PRIVATE = ("private", "private-keys", "existing-network", "everything")
#: Each service that could have a public address, with the parts that the app uses.
SERVICES = {
    "Microsoft.Storage/storageAccounts": {"blob", "table"},
    "Microsoft.ServiceBus/namespaces": {"namespace"},
    "Microsoft.KeyVault/vaults": {"vault"},
    "Microsoft.Web/sites": {"sites"},
}
#: Parts with more than one zone.
ZONES = {"azuremonitor": ["monitor", "oms", "ods", "agents", "blob"]}
#: Number of the customer's vaults with a private endpoint in the network.
VAULTS = {"private": 1, "everything": 2}
#: Each service of Azure Monitor that stores logs.
LOGS = ("Microsoft.OperationalInsights/workspaces", "Microsoft.Insights/components")
#: As the compiler spells them.
SCOPE = "microsoft.insights/privateLinkScopes"
MEMBERS = "Microsoft.Insights/privateLinkScopes/scopedResources"
NETWORK = "Microsoft.Network"
EXISTING = "/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/vnet-spoke"


def get_zones(given: str) -> dict[str, str]:
    """Return the id of each private DNS zone by the zone's name."""
    return {
        zone["name"]: zone["properties"]["privateDnsZoneId"]
        for group in find_resources(f"{NETWORK}/privateEndpoints/privateDnsZoneGroups", given)
        for zone in group["properties"]["privateDnsZoneConfigs"]
    }


def list_connections(given: str) -> list[tuple[str, str]]:
    """Return the kind of service and the resource id that each private endpoint connects to."""
    connections = [
        one["properties"]["privateLinkServiceConnections"][0]["properties"]
        for one in find_resources(f"{NETWORK}/privateEndpoints", given)
    ]
    return [(one["groupIds"][0], one["privateLinkServiceId"]) for one in connections]


def get_storage(given: str) -> Resource:
    return find_resource("Microsoft.Storage/storageAccounts", "st", given)


@pytest.mark.parametrize("given", PRIVATE)
def test_no_service_of_a_private_set_has_a_public_address(given: str) -> None:
    """An absent property would mean that public access is on."""
    for resource_type in SERVICES:
        for one in find_resources(resource_type, given):
            assert one["properties"]["publicNetworkAccess"] == "Disabled", one["name"]
    for one in read_predicted_resources(given):
        assert '"publicNetworkAccess": "Enabled"' not in json.dumps(one), one["name"]


@pytest.mark.parametrize("given", PRIVATE)
def test_each_service_has_a_private_endpoint_with_a_name_in_private_dns(given: str) -> None:
    """Without a DNS zone, the app would not find the endpoint's address."""
    expected = [part for parts in SERVICES.values() for part in parts]
    expected += ["vault"] * VAULTS.get(given, 0)
    expected += [] if given == "everything" else ["azuremonitor"]

    assert sorted(part for part, _ in list_connections(given)) == sorted(expected)
    assert set(get_zones(given)) == {zone for part in expected for zone in ZONES.get(part, [part])}


@pytest.mark.parametrize("given", PRIVATE)
def test_app_sends_its_requests_through_the_network(given: str) -> None:
    """Outside its network, the app could not reach its own storage account."""
    site = find_resource("Microsoft.Web/sites", "func-", given)

    assert site["properties"]["virtualNetworkSubnetId"]


@pytest.mark.parametrize("given", ["private", "private-keys"])
def test_new_network_has_a_subnet_for_the_app_and_one_address_for_outgoing_requests(
    given: str,
) -> None:
    """Flex Consumption requires that the app's subnet is delegated to it."""
    [network] = find_resources(f"{NETWORK}/virtualNetworks", given)
    subnets = {one["name"]: one["properties"] for one in network["properties"]["subnets"]}
    [delegation] = subnets["app"]["delegations"]

    assert set(subnets) == {"app", "endpoints"}
    assert delegation["properties"] == {"serviceName": "Microsoft.App/environments"}
    assert subnets["app"]["natGateway"]["id"].endswith(
        find_resource(f"{NETWORK}/natGateways", "ng-", given)["name"]
    )
    assert subnets["app"]["addressPrefix"] == "10.90.0.0/26"
    assert subnets["endpoints"]["addressPrefix"] == "10.90.0.64/26"


def test_existing_network_is_used_and_not_changed() -> None:
    given = "existing-network"
    site = find_resource("Microsoft.Web/sites", "func-", given)
    kinds = ("virtualNetworks", "natGateways", "publicIPAddresses")
    links = find_resources(f"{NETWORK}/privateDnsZones/virtualNetworkLinks", given)

    assert [one for kind in kinds for one in find_resources(f"{NETWORK}/{kind}", given)] == []
    assert site["properties"]["virtualNetworkSubnetId"].endswith(
        f"{EXISTING}/subnets/flow-remediation"
    )
    for one in find_resources(f"{NETWORK}/privateEndpoints", given):
        assert one["properties"]["subnet"]["id"].endswith(f"{EXISTING}/subnets/endpoints")
    assert len(links) == len(get_zones(given))
    assert all(one["properties"]["virtualNetwork"]["id"].endswith(EXISTING) for one in links)


def test_zones_of_an_existing_network_are_used_if_they_are_named() -> None:
    """A network can be linked to only one DNS zone of the same name."""
    assert find_resources(f"{NETWORK}/privateDnsZones", "everything") == []
    for zone in get_zones("everything").values():
        assert "/privateDnsZones/" in zone
        assert "/resourceGroups/dns/" in zone


@pytest.mark.parametrize("given", PRIVATE)
def test_event_grid_passes_the_firewall_of_the_namespace(given: str) -> None:
    """Event Grid is a trusted service if it uses a system-assigned identity."""
    namespace = find_resource("Microsoft.ServiceBus/namespaces", "sb-", given)
    [rules] = find_resources("Microsoft.ServiceBus/namespaces/networkRuleSets", given)

    assert namespace["sku"]["name"] == "Premium"
    assert rules["properties"]["trustedServiceAccessEnabled"] is True
    assert rules["properties"]["defaultAction"] == "Deny"


@pytest.mark.parametrize("given", [*PRIVATE, "open"])
def test_event_grid_delivers_with_the_identity_of_its_topic(given: str) -> None:
    topics = find_resources("Microsoft.EventGrid/systemTopics", given)
    subscriptions = find_resources("Microsoft.EventGrid/systemTopics/eventSubscriptions", given)
    senders = [
        one["properties"]["deliveryWithResourceIdentity"]  # avoid-ok: Event Grid's name
        for one in subscriptions
    ]

    assert topics
    assert {one["identity"]["type"] for one in topics} == {"SystemAssigned"}
    assert len(senders) == len(topics)
    assert [one["identity"] for one in senders] == [{"type": "SystemAssigned"}] * len(topics)


def test_open_set_has_no_network_and_a_namespace_without_rules() -> None:
    """What is only needed for a private network costs money."""
    resources = read_predicted_resources("open")

    assert [one for one in resources if one["type"].startswith(f"{NETWORK}/")] == []
    assert find_resources("Microsoft.ServiceBus/namespaces/networkRuleSets", "open") == []
    assert find_resources(SCOPE, "open") == []
    assert (
        find_resource("Microsoft.ServiceBus/namespaces", "sb-", "open")["sku"]["name"] == "Standard"
    )


def test_vaults_of_the_customer_get_endpoints_in_the_network() -> None:
    targets = [target for part, target in list_connections("everything") if part == "vault"]

    assert sorted(one.rpartition("/")[2] for one in targets if one.startswith("/sub")) == [
        "kv-team",
        "kv-urls",
    ]


# --- logs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [*PRIVATE, "open"])
def test_logs_of_a_private_set_are_sent_and_read_by_its_scope_only(given: str) -> None:
    """A workspace without public access accepts logs only through a private link scope."""
    access = "Enabled" if given == "open" else "Disabled"
    members = find_resources(MEMBERS, given)

    for kind in LOGS:
        for one in find_resources(kind, given):
            assert one["properties"]["publicNetworkAccessForIngestion"] == access
            assert one["properties"]["publicNetworkAccessForQuery"] == access
    assert len(members) == (0 if given == "open" else len(LOGS))


@pytest.mark.parametrize(
    ("given", "mode"), [("private", "PrivateOnly"), ("existing-network", "Open")]
)
def test_scope_of_a_new_network_reaches_only_its_members(given: str, mode: str) -> None:
    """In an existing network, other apps may send logs elsewhere, so the scope is open."""
    [scope] = find_resources(SCOPE, given)

    assert scope["properties"]["accessModeSettings"] == {
        "ingestionAccessMode": mode,
        "queryAccessMode": mode,
    }


def test_scope_of_an_existing_network_is_used_if_it_is_named() -> None:
    """A network can have only one private link scope."""
    members = find_resources(MEMBERS, "everything")

    assert find_resources(SCOPE, "everything") == []
    assert {one["name"].partition("/")[0] for one in members} == {"pls-hub"}


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["private-keys", "everything"])
def test_service_bus_is_under_the_named_key(given: str) -> None:
    """Only an empty Premium namespace accepts a key."""
    namespace = find_resource("Microsoft.ServiceBus/namespaces", "sb-key-", given)
    encryption = namespace["properties"]["encryption"]
    [key] = encryption["keyVaultProperties"]

    assert namespace["identity"]["type"] == "UserAssigned"
    assert encryption["keySource"] == "Microsoft.KeyVault"
    assert key["keyName"] == "flow-remediation"
    assert "keyVersion" not in key
    assert "storageIdentity-" in key["identity"]["userAssignedIdentity"]


# --- the storage account --------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["private-keys", "everything"])
def test_storage_account_is_under_the_named_key(given: str) -> None:
    account = get_storage(given)
    encryption = account["properties"]["encryption"]
    assigned = [
        one
        for one in find_resources("Microsoft.Authorization/roleAssignments", given)
        if one["properties"]["roleDefinitionId"].endswith("e147488a-f6f5-4113-8e2d-b22465e65bf6")
    ]

    assert account["identity"]["type"] == "UserAssigned"
    assert encryption["keySource"] == "Microsoft.Keyvault"
    assert encryption["keyvaultproperties"]["keyname"] == "flow-remediation"
    assert "keyversion" not in encryption["keyvaultproperties"]
    [role] = assigned
    assert "/vaults/kv-keys/keys/flow-remediation'" in role["id"]
    assert "storageIdentity-" in role["properties"]["principalId"]


@pytest.mark.parametrize("given", [*PRIVATE, "open"])
def test_key_of_the_account_can_encrypt_its_tables_later(given: str) -> None:
    """Azure allows this only for an account that was created with the key type `Account`."""
    services = get_storage(given)["properties"]["encryption"]["services"]

    assert {services[name]["keyType"] for name in ("table", "queue")} == {"Account"}


@pytest.mark.parametrize("given", [*PRIVATE, "open"])
def test_deleted_and_changed_blobs_are_kept(given: str) -> None:
    """The host writes its blobs all the time, so old versions are deleted after 30 days."""
    [blobs] = find_resources("Microsoft.Storage/storageAccounts/blobServices", given)
    [policy] = find_resources("Microsoft.Storage/storageAccounts/managementPolicies", given)
    [rule] = policy["properties"]["policy"]["rules"]

    assert blobs["properties"]["isVersioningEnabled"] is True
    assert blobs["properties"]["deleteRetentionPolicy"] == {"enabled": True, "days": 30}
    assert rule["definition"]["actions"] == {
        "version": {"delete": {"daysAfterCreationGreaterThan": 30}}
    }


def test_archive_is_immutable_only_if_days_are_set() -> None:
    """The app never changes the files in the container `archive`."""
    policies = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
    [policy] = find_resources(policies, "private-keys")

    assert policy["name"].endswith("/default/archive/default")
    assert policy["properties"] == {
        "immutabilityPeriodSinceCreationInDays": 365,
        "allowProtectedAppendWrites": False,
    }
    assert find_resources(policies, "open") == []


def test_locks_are_optional_and_protect_stored_data() -> None:
    locks = find_resources("Microsoft.Authorization/locks", "private-keys")

    assert {one["properties"]["level"] for one in locks} == {"CanNotDelete"}
    assert len([one for one in locks if "storageAccounts" in one["id"]]) == 1
    assert len([one for one in locks if "KeyVault/vaults" in one["id"]]) == 1
    assert find_resources("Microsoft.Authorization/locks", "open") == []
