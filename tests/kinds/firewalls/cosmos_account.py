"""Test data of the firewall kind *Cosmos DB account*."""

from collections.abc import Sequence

from tests.kinds.case import HOST, Json, build_resource, build_resources_case


def build_account(*addresses: str, **properties: object) -> Json:
    return build_resource(
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


def _build_resources(sources: Sequence[str]) -> list[Json]:
    return [build_account(*sources)]


CASE = build_resources_case("orders-db", "cosmosdb update", _build_resources)
