from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure_world import GROUP_ID, VAULT_ID, AzureWorld, serve_azure_world

STORAGE = f"{GROUP_ID}/providers/Microsoft.Storage/storageAccounts/orders"
SQL = f"{GROUP_ID}/providers/Microsoft.Sql/servers/orders-db"
POSTGRESQL = f"{GROUP_ID}/providers/Microsoft.DBforPostgreSQL/flexibleServers/orders-db"
COSMOS = f"{GROUP_ID}/providers/Microsoft.DocumentDB/databaseAccounts/orders-db"
NAMESPACE = f"{GROUP_ID}/providers/Microsoft.ServiceBus/namespaces/orders-ns"
APIS = f"{GROUP_ID}/providers/Microsoft.ApiManagement/service/apis"
POLICY = f"{APIS}/policies/policy"
TOPIC = f"{GROUP_ID}/providers/Microsoft.EventGrid/topics/told"


def build_resource(resource_id: str, **properties: Any) -> dict[str, Any]:
    namespace, *path = resource_id.rpartition("/providers/")[2].split("/")
    resource_type = "/".join((namespace, *path[::2]))
    return {"id": resource_id, "type": resource_type, "properties": properties}


@pytest.fixture
async def world() -> AsyncIterator[AzureWorld]:
    rules = {"ipRules": [{"value": "198.51.100.0/24", "action": "Allow"}]}
    policy = "<policies><inbound /></policies>"
    listed = [
        build_resource(STORAGE, primaryEndpoints={"blob": "https://o.example/"}, networkAcls=rules),
        build_resource(SQL),
        build_resource(POSTGRESQL),
        build_resource(COSMOS, documentEndpoint="https://o.example/"),
        build_resource(NAMESPACE),
        build_resource(APIS),
        build_resource(POLICY, value=policy, format="xml"),
    ]
    async with serve_azure_world() as served:
        seed_azure(served.tenant, {"resources": listed})
        yield served


def build_rule(first: str, last: str) -> dict[str, Any]:
    return {"properties": {"startIpAddress": first, "endIpAddress": last}}


def build_acls(*values: str) -> dict[str, Any]:
    rules = [{"value": value, "action": "Allow"} for value in values]
    return {"properties": {"networkAcls": {"defaultAction": "Deny", "ipRules": rules}}}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PATCH", STORAGE, build_acls("20.61.88.128/31"), "InvalidValuesForRequestParameters"),
        ("PATCH", STORAGE, build_acls("10.0.0.0/24"), "InvalidValuesForRequestParameters"),
        (
            "PATCH",
            STORAGE,
            build_acls(*(f"20.61.{n // 256}.{n % 256}" for n in range(401))),
            "InvalidValuesForRequestParameters",
        ),
        ("PATCH", STORAGE, build_acls("anywhere"), "InvalidParameterValue"),
        (
            "PATCH",
            VAULT_ID,
            build_acls(*(f"20.61.{n // 256}.{n % 256}" for n in range(1001))),
            "InvalidParameterValue",
        ),
        (
            "PUT",
            f"{SQL}/firewallRules/r",
            build_rule("20.0.0.9", "20.0.0.1"),
            "InvalidParameterValue",
        ),
        ("PUT", f"{SQL}/firewallRules/r", {"properties": {}}, "InvalidParameterValue"),
        (
            "PATCH",
            COSMOS,
            {"properties": {"ipRules": [{"ipAddressOrRange": "x"}]}},
            "InvalidParameterValue",
        ),
        (
            "PUT",
            f"{NAMESPACE}/networkRuleSets/default",
            {"properties": {"ipRules": [{"ipMask": "x"}]}},
            "InvalidParameterValue",
        ),
        ("PATCH", STORAGE, {"properties": []}, "InvalidRequestContent"),
    ],
)
async def test_invalid_rule_is_rejected_and_not_stored(
    world: AzureWorld, method: str, path: str, body: dict[str, Any], code: str
) -> None:
    before = await world.call_arm("GET", path)

    answer = await world.call_arm(method, path, body)

    assert (answer.status, answer.body["error"]["code"]) == (400, code)
    assert (await world.call_arm("GET", path)).body == before.body


async def test_patch_keeps_the_members_that_it_omits(world: AzureWorld) -> None:
    await world.call_arm("PATCH", STORAGE, build_acls("20.61.88.0/24"))

    properties = (await world.call_arm("GET", STORAGE)).body["properties"]
    assert properties["primaryEndpoints"] == {"blob": "https://o.example/"}
    assert [one["value"] for one in properties["networkAcls"]["ipRules"]] == ["20.61.88.0/24"]


async def test_vault_stores_a_single_address_as_a_prefix(world: AzureWorld) -> None:
    """Key Vault adds `/32` to a single address."""
    answer = await world.call_arm("PATCH", VAULT_ID, build_acls("20.61.88.1"))

    assert answer.body["properties"]["networkAcls"]["ipRules"][0]["value"] == "20.61.88.1/32"


async def test_rule_of_a_missing_server_is_rejected(world: AzureWorld) -> None:
    rules = await world.call_arm(
        "PUT", f"{SQL}-2/firewallRules/r", build_rule("20.0.0.1", "20.0.0.9")
    )
    account = await world.call_arm("PATCH", f"{STORAGE}2", build_acls("20.61.88.0/24"))

    assert (rules.status, account.status) == (404, 404)


async def test_a_flexible_server_answers_later(world: AzureWorld) -> None:
    """The response is a 202 with an operation to poll."""
    path = f"{POSTGRESQL}/firewallRules/r"
    accepted = await world.call_arm("PUT", path, build_rule("20.0.0.1", "20.0.0.9"))
    operation = await world.call("GET", accepted.headers["Azure-AsyncOperation"])

    assert accepted.status == 202
    assert operation.body["status"] == "Succeeded"
    assert (await world.call_arm("GET", path)).body["name"] == "r"


async def test_a_policy_is_updated_only_with_if_match(world: AzureWorld) -> None:
    body = {"properties": {"format": "rawxml", "value": "<policies><inbound><base />"}}
    refused = await world.call_arm("PUT", POLICY, body)
    created = await world.call_arm("PUT", f"{APIS}/policies/other", body)

    assert (refused.status, refused.body["error"]["code"]) == (412, "PreconditionFailed")
    assert (created.status, created.body["error"]["code"]) == (400, "ValidationError")


async def test_a_topic_is_created_with_its_endpoint(world: AzureWorld) -> None:
    """The host name of a topic's endpoint contains the region."""
    answer = await world.call_arm("PUT", TOPIC, {"location": "West Europe", "properties": {}})

    endpoint = "https://told.westeurope-1.eventgrid.azure.net/api/events"
    assert (answer.status, answer.body["properties"]["endpoint"]) == (201, endpoint)


@pytest.mark.parametrize("text", ["name eq", "kind eq 'app'", "name eq 'a' or name eq 'b'"])
async def test_unsupported_filter_is_rejected(world: AzureWorld, text: str) -> None:
    """A filter that the tenant does not support must not return every resource."""
    url = f"https://management.azure.com{GROUP_ID}/resources"
    answer = await world.call("GET", url, **{"api-version": "2023-07-01", "$filter": text})

    assert (answer.status, answer.body["error"]["code"]) == (400, "InvalidFilterInQueryString")


async def test_a_filter_compares_type_and_name(world: AzureWorld) -> None:
    url = f"https://management.azure.com{GROUP_ID}/resources"
    text = "resourceType eq 'microsoft.sql/SERVERS' and name eq 'Orders-DB'"
    answer = await world.call("GET", url, **{"api-version": "2023-07-01", "$filter": text})

    assert [one["id"] for one in answer.body["value"]] == [SQL]
