from local_cloud.tenant.core.requests import Budget
from tests.local_cloud.tenant.azure_world import (
    ARM,
    POLICY_ID,
    SUBSCRIPTION,
    VAULT_ID,
    AzureWorld,
)

VAULTS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults"


async def test_a_call_without_api_version_is_refused(world: AzureWorld) -> None:
    answer = await world.call("GET", f"{ARM}{VAULTS}")

    assert (answer.status, answer.body["error"]["code"]) == (400, "MissingApiVersionParameter")


async def test_api_version_that_is_not_a_date_is_rejected(world: AzureWorld) -> None:
    answer = await world.call("GET", f"{ARM}{VAULTS}", **{"api-version": "7.4"})

    assert answer.body["error"]["code"] == "InvalidApiVersionParameter"


async def test_token_for_another_audience_is_rejected(world: AzureWorld) -> None:
    answer = await world.call(
        "GET",
        f"{ARM}{VAULTS}",
        audience="https://vault.azure.net",
        **{"api-version": "2023-07-01"},
    )

    assert (answer.status, answer.body["error"]["code"]) == (401, "InvalidAuthenticationToken")


async def test_a_used_up_budget_is_answered_with_a_time_to_wait(world: AzureWorld) -> None:
    world.tenant.calls.budgets["resource_manager.read"] = Budget(calls=2, seconds=60)

    answers = [await world.call_arm("GET", VAULTS) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


async def test_subscriptions_are_listed(world: AzureWorld) -> None:
    answer = await world.call_arm("GET", "/subscriptions")

    [subscription] = answer.body["value"]
    assert subscription["subscriptionId"] == SUBSCRIPTION
    assert subscription["displayName"] == "Integration"


async def test_an_unknown_subscription_is_not_found(world: AzureWorld) -> None:
    answer = await world.call_arm("GET", "/subscriptions/nothing/resources")

    assert (answer.status, answer.body["error"]["code"]) == (404, "SubscriptionNotFound")


async def test_resources_are_listed_page_by_page_without_their_properties(
    world: AzureWorld,
) -> None:
    world.azure.page_size = 3

    first = await world.call_arm("GET", f"/subscriptions/{SUBSCRIPTION}/resources")
    second = await world.call("GET", first.body["nextLink"])

    names = ["kv-cmk", "cmk-eu", "plan", "shop", "shop/staging"]
    found = [*first.body["value"], *second.body["value"]]
    assert [each["name"] for each in found] == [*names, "nsg-erp"]
    assert "nextLink" not in second.body
    assert all("properties" not in each for each in found)


async def test_resources_can_be_listed_by_type(world: AzureWorld) -> None:
    answer = await world.call(
        "GET",
        f"{ARM}/subscriptions/{SUBSCRIPTION}/resources",
        **{"api-version": "2021-04-01", "$filter": "resourceType eq 'microsoft.web/SITES'"},
    )

    assert [each["name"] for each in answer.body["value"]] == ["shop"]


async def test_vault_contains_its_protection_settings(world: AzureWorld) -> None:
    """The app needs these properties to check whether a key may be applied."""
    vault = (await world.call_arm("GET", VAULT_ID)).body["properties"]

    assert vault["enableSoftDelete"] is True
    assert vault["enablePurgeProtection"] is True
    assert vault["vaultUri"] == "https://kv-cmk.vault.azure.net/"


async def test_missing_resource_is_not_found(world: AzureWorld) -> None:
    answer = await world.call_arm("GET", f"{POLICY_ID}-2")

    assert (answer.status, answer.body["error"]["code"]) == (404, "ResourceNotFound")
