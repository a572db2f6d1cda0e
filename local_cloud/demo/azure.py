"""Build the seed of the demo's Azure resources, such as its key, apps, secrets and firewalls."""

from typing import Any

from local_cloud.demo.customer_care import COURIER_HOST
from local_cloud.demo.operations import ERP_HOST, LABELS_HOST, PRICING_HOST, RECEIPTS_HOST
from local_cloud.demo.scope import APPLICATION_VAULT, GROUP, SUBSCRIPTION
from local_cloud.demo.systems import SYSTEMS
from local_cloud.tenant.azure.published_ranges import PUBLISHED_RANGES

type Json = dict[str, Any]

#: A subscription that the app does not read.
FABRIKAM = "9c1e0f3a-7a55-4c0e-b8a1-2f4d5a6b7c02"
KEY_VAULT = "kv-contoso-keys"
KEY = "pp-cmk"
POLICY_ID = f"{GROUP}/Microsoft.PowerPlatform/enterprisePolicies/cmk-europe"
POLICY_SYSTEM_ID = (
    "/regions/europe/providers/Microsoft.PowerPlatform/enterprisePolicies/"
    "6f2f8b0c-6a35-4c4b-9d0e-0d6f1f0f2a03"
)
POLICY_IDENTITY = "6f2f8b0c-6a35-4c4b-9d0e-0d6f1f0f2a04"
#: Firewalls that lack the new addresses, and are opened while the demo runs.
EDGE_FIREWALL, RECEIPTS_GROUP = "afw-edge", "nsg-receipts"
_ADDRESS = "203.0.113.10"
REGIONS = ("WestEurope", "NorthEurope")
#: Signs evidence files.
EVIDENCE_KEY = "evidence"
#: The secret with the service account's token cache.
OPERATOR_SECRET = "cmkflow-operator"


def build_azure() -> Json:
    azure: Json = {
        "subscriptions": [
            {"subscriptionId": SUBSCRIPTION, "displayName": "Integration"},
            {"subscriptionId": FABRIKAM, "displayName": "Another company's"},
        ],
        "vaults": [_build_key_vault(), _build_application_vault()],
        "enterprisePolicies": [_build_policy()],
        "roleAssignments": [_build_role_assignment()],
        "sites": [],
        "configurationStores": [],
        "resources": _build_edge_firewall(),
        "networkSecurityGroups": [
            _build_security_group("nsg-erp", ERP_HOST, guards={ERP_HOST: "10.0.1.4"}),
            # Flows reach this host by a private link, so its firewall does not matter.
            _build_security_group("nsg-labels", LABELS_HOST, guards={}),
            _build_security_group(
                RECEIPTS_GROUP, RECEIPTS_HOST, guards={RECEIPTS_HOST: "10.0.1.5"}
            ),
            build_courier_firewall("LogicApps"),
        ],
    }
    for system in SYSTEMS:
        system.holder.seed(azure, system.format_held_text())
    return azure


def _build_key_vault() -> Json:
    versions = [{"createdDaysAgo": 200, "expiresInDays": 300}]
    keys = [{"name": KEY, "kty": "RSA", "keySize": 3072, "versions": versions}]
    return {"id": f"{GROUP}/Microsoft.KeyVault/vaults/{KEY_VAULT}", "keys": keys}


def _build_application_vault() -> Json:
    keys = [{"name": EVIDENCE_KEY, "kty": "RSA", "keySize": 3072, "keyOps": ["sign", "verify"]}]
    vault = f"{GROUP}/Microsoft.KeyVault/vaults/{APPLICATION_VAULT}"
    return {"id": vault, "keys": keys}


def _build_policy() -> Json:
    vault = f"{GROUP}/Microsoft.KeyVault/vaults/{KEY_VAULT}"
    return {
        "id": POLICY_ID,
        "location": "europe",
        "kind": "Encryption",
        "identity": {"type": "SystemAssigned", "principalId": POLICY_IDENTITY},
        "properties": {
            "systemId": POLICY_SYSTEM_ID,
            "encryption": {
                "state": "Enabled",
                "keyVault": {"id": vault, "key": {"name": KEY, "version": None}},
            },
        },
    }


def _build_role_assignment() -> Json:
    role = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
    return {
        "scope": f"{GROUP}/Microsoft.KeyVault/vaults/{KEY_VAULT}",
        "principalId": POLICY_IDENTITY,
        "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
    }


def _build_edge_firewall() -> list[Json]:
    published = {"ipAddress": _ADDRESS, "dnsSettings": {"fqdn": PRICING_HOST}}
    rule = {
        "ruleType": "NatRule",
        "name": "prices",
        "ipProtocols": ["TCP"],
        "sourceIpGroups": [_build_network_id("ipGroups/flows")],
        "destinationAddresses": [_ADDRESS],
        "destinationPorts": ["443"],
        "translatedAddress": "10.0.2.4",
        "translatedPort": "8443",
    }
    collection = {
        "ruleCollectionType": "FirewallPolicyNatRuleCollection",
        "name": "published",
        "priority": 100,
        "action": {"type": "Dnat"},
        "rules": [rule],
    }
    configuration = {
        "privateIPAddress": "10.0.0.4",
        "publicIPAddress": {"id": _build_network_id("publicIPAddresses/edge")},
    }
    policy = _build_network_id("firewallPolicies/edge")
    described = {
        "publicIPAddresses/edge": published,
        "ipGroups/flows": {"ipAddresses": _list_current_addresses()},
        "firewallPolicies/edge": {},
        "firewallPolicies/edge/ruleCollectionGroups/inbound": {
            "priority": 200,
            "ruleCollections": [collection],
        },
        f"azureFirewalls/{EDGE_FIREWALL}": {
            "firewallPolicy": {"id": policy},
            "ipConfigurations": [{"name": "public", "properties": configuration}],
        },
    }
    return [
        {
            "id": _build_network_id(path),
            "type": "/".join(["Microsoft.Network", *path.split("/")[::2]]),
            "location": "westeurope",
            "properties": properties,
        }
        for path, properties in described.items()
    ]


def _build_network_id(path: str) -> str:
    return f"{GROUP}/Microsoft.Network/{path}"


def _list_current_addresses() -> list[str]:
    return [
        prefix
        for region in REGIONS
        for prefix in PUBLISHED_RANGES["LogicApps"][region][1].split()
        if ":" not in prefix
    ]


def build_courier_firewall(*tags: str) -> Json:
    """Return the seed of the courier's firewall, which allows these service tags.

    The app cannot read it.
    """
    return {
        "id": f"/subscriptions/{FABRIKAM}/resourceGroups/rg/providers/"
        "Microsoft.Network/networkSecurityGroups/edge",
        "guards": {COURIER_HOST: "10.9.0.4"},
        "securityRules": _build_allow_rules(*tags),
    }


def _build_allow_rules(*tags: str) -> list[Json]:
    sources = [f"{tag}.{region}" for tag in tags for region in REGIONS]
    return [
        {
            "name": f"allow-flows-{source.partition('.')[2].lower()}-{number}",
            "properties": {
                "access": "Allow",
                "priority": 100 + number,
                "direction": "Inbound",
                "protocol": "Tcp",
                "destinationPortRange": "443",
                "sourceAddressPrefix": source,
            },
        }
        for number, source in enumerate(sources)
    ]


def _build_security_group(name: str, host: str, *, guards: dict[str, str]) -> Json:
    return {
        "id": f"{GROUP}/Microsoft.Network/networkSecurityGroups/{name}",
        "tags": {"cmkflow-hosts": host},
        "guards": guards,
        "securityRules": _build_allow_rules("LogicApps"),
    }
