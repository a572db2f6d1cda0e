"""A key vault whose IP rules allow some prefixes."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, resource, resources_case


def vault(rules: Sequence[Json] = (), default: object = "Deny", **properties: object) -> Json:
    """Return a vault that by default denies all other addresses."""
    rules_of_it = {"bypass": "AzureServices", "defaultAction": default, "ipRules": [*rules]}
    return resource(
        "Microsoft.KeyVault/vaults",
        "kv-orders",
        properties={"vaultUri": f"https://{HOST}/", "networkAcls": rules_of_it, **properties},
    )


CASE = resources_case(
    "kv-orders", lambda sources: [vault([{"value": source} for source in sources])]
)
