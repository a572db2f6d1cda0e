"""Test data of the firewall kind *key vault*."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, build_resource, build_resources_case


def build_vault(rules: Sequence[Json] = (), default: object = "Deny", **properties: object) -> Json:
    """Return a key vault with IP rules. By default, it denies all other addresses."""
    rules_of_it = {"bypass": "AzureServices", "defaultAction": default, "ipRules": [*rules]}
    return build_resource(
        "Microsoft.KeyVault/vaults",
        "kv-orders",
        properties={"vaultUri": f"https://{HOST}/", "networkAcls": rules_of_it, **properties},
    )


CASE = build_resources_case(
    "kv-orders",
    "keyvault network-rule add",
    lambda sources: [build_vault([{"value": source} for source in sources])],
)
