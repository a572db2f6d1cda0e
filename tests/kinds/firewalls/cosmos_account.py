"""A Cosmos DB account whose IP rules allow some prefixes."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, resource, resources_case


def account(*addresses: str, **properties: object) -> Json:
    """Return an account with IP rules."""
    return resource(
        "Microsoft.DocumentDB/databaseAccounts",
        "orders-db",
        properties={
            "documentEndpoint": f"https://{HOST}:443/",
            "locations": [{"documentEndpoint": f"https://eastus.{HOST}:443/"}],
            "publicNetworkAccess": "Enabled",
            "isVirtualNetworkFilterEnabled": False,
            "ipRules": [{"ipAddressOrRange": one} for one in addresses],
            **properties,
        },
    )


def _resources(sources: Sequence[str]) -> list[Json]:
    return [account(*sources)]


CASE = resources_case("orders-db", _resources)
