from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from azure.mgmt.web.aio import WebSiteManagementClient
from azure.mgmt.web.models import SiteConfigResource, StringDictionary

from local_cloud.tenant.azure.site_runtime import get_running_settings, restart
from local_cloud.tenant.azure.state import SITES, VAULTS
from tests.local_cloud.tenant.azure_world import (
    GROUP,
    SITE_ID,
    SITE_IDENTITY,
    SUBSCRIPTION,
    VAULT_ID,
    AzureWorld,
    require_present,
)


@pytest.fixture
async def web(world: AzureWorld) -> AsyncIterator[WebSiteManagementClient]:
    async with WebSiteManagementClient(
        world.credential, SUBSCRIPTION, **world.client_options
    ) as client:
        yield client


async def test_sites_of_a_subscription_are_listed_without_their_slots(
    web: WebSiteManagementClient,
) -> None:
    """Slots are only in the list of their site."""
    sites = [site.name async for site in web.web_apps.list()]
    slots = [slot.name async for slot in web.web_apps.list_slots(GROUP, "shop")]

    assert sites == ["shop"]
    assert slots == ["shop/staging"]


async def test_write_replaces_all_settings_and_restarts_the_site(
    world: AzureWorld, web: WebSiteManagementClient
) -> None:
    settings = await web.web_apps.list_application_settings(GROUP, "SHOP")
    assert require_present(settings.properties)["COLOUR"] == "blue"

    await web.web_apps.update_application_settings(
        GROUP, "shop", StringDictionary(properties={"SIZE": "10"})
    )

    settings = await web.web_apps.list_application_settings(GROUP, "shop")
    assert settings.properties == {"SIZE": "10"}
    assert world.azure.restarts[SITE_ID.lower()] == 1


async def test_slot_has_its_own_settings(web: WebSiteManagementClient) -> None:
    settings = await web.web_apps.list_application_settings_slot(GROUP, "shop", "staging")

    assert settings.properties == {"COLOUR": "green"}


async def test_connection_strings_carry_value_and_type(web: WebSiteManagementClient) -> None:
    strings = await web.web_apps.list_connection_strings(GROUP, "shop")

    database = require_present(strings.properties)["db"]
    assert (database.value, database.type) == ("Server=db", "SQLAzure")


async def test_access_restrictions_are_part_of_the_web_configuration(
    web: WebSiteManagementClient,
) -> None:
    """If a rule allows addresses, App Service adds a rule that denies all others."""
    rule = {"ipAddress": "PowerPlatformPlex", "tag": "ServiceTag", "action": "Allow"}
    patch = SiteConfigResource({"properties": {"ipSecurityRestrictions": [rule]}})

    await web.web_apps.update_configuration(GROUP, "shop", patch)

    configuration = await web.web_apps.get_configuration(GROUP, "shop")
    first, last = require_present(
        require_present(configuration.properties).ip_security_restrictions
    )
    assert (first.ip_address, first.action) == ("PowerPlatformPlex", "Allow")
    assert (last.name, last.ip_address, last.priority) == ("Deny all", "Any", 2147483647)


async def test_site_without_restrictions_has_the_allow_all_rule(
    web: WebSiteManagementClient,
) -> None:
    configuration = await web.web_apps.get_configuration(GROUP, "shop")

    [last] = require_present(require_present(configuration.properties).ip_security_restrictions)
    assert (last.name, last.action) == ("Allow all", "Allow")


async def test_a_reference_to_a_secret_is_reported_as_resolved(
    web: WebSiteManagementClient,
) -> None:
    references = [
        each async for each in web.web_apps.get_app_settings_key_vault_references(GROUP, "shop")
    ]

    [reference] = references
    assert reference.name == "ORDERS_URL"
    resolved = require_present(reference.properties)
    assert (resolved.status, resolved.secret_name) == ("Resolved", "orders-url")


async def test_a_new_secret_reaches_a_running_site_after_a_day(world: AzureWorld) -> None:
    """A site reads references without a version again every 24 hours."""
    vault = "https://kv-cmk.vault.azure.net"
    clock = world.tenant.clock

    await world.call(
        "PUT",
        f"{vault}/secrets/orders-url",
        {"value": "https://flow.example/2"},
        audience="https://vault.azure.net",
        **{"api-version": "7.4"},
    )

    before = get_running_settings(world.azure, SITE_ID, clock.now())
    clock.advance(timedelta(hours=24).total_seconds())
    after = get_running_settings(world.azure, SITE_ID, clock.now())
    assert before["ORDERS_URL"] == "https://flow.example/1"
    assert after["ORDERS_URL"] == "https://flow.example/2"


async def test_refresh_of_references_returns_a_new_secret_at_once(world: AzureWorld) -> None:
    await world.call(
        "PUT",
        "https://kv-cmk.vault.azure.net/secrets/orders-url",
        {"value": "https://flow.example/2"},
        audience="https://vault.azure.net",
        **{"api-version": "7.4"},
    )

    answer = await world.call_arm("POST", f"{SITE_ID}/config/configreferences/appsettings/refresh")

    assert answer.status == 200
    settings = get_running_settings(world.azure, SITE_ID, world.tenant.clock.now())
    assert settings["ORDERS_URL"] == "https://flow.example/2"


@pytest.mark.parametrize(
    ("lacks", "status"),
    [
        ("identity", "MSINotEnabled"),
        ("right", "AccessToKeyVaultDenied"),
        ("network", "AccessToKeyVaultDenied"),
    ],
)
async def test_site_reads_a_reference_that_it_may_not_resolve_as_text(
    web: WebSiteManagementClient, world: AzureWorld, lacks: str, status: str
) -> None:
    azure = world.azure
    site, vault = (azure.resources.find(*one) for one in ((SITES, SITE_ID), (VAULTS, VAULT_ID)))
    assert site
    assert vault
    match lacks:
        case "identity":
            site["identity"] = None
        case "right":
            azure.role_assignments.clear()
        case _:
            vault["properties"]["networkAcls"] = {"defaultAction": "Deny"}

    restart(azure, SITE_ID, world.tenant.clock.now())

    [reference] = [
        each async for each in web.web_apps.get_app_settings_key_vault_references(GROUP, "shop")
    ]
    settings = get_running_settings(azure, SITE_ID, world.tenant.clock.now())
    assert require_present(reference.properties).status == status
    assert settings["ORDERS_URL"].startswith("@Microsoft.KeyVault(")


async def test_user_assigned_identity_resolves_references_if_it_is_chosen(
    web: WebSiteManagementClient, world: AzureWorld
) -> None:
    site = world.azure.resources.find(SITES, SITE_ID)
    assert site
    identity = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/x/shop"
    site["identity"] = {"userAssignedIdentities": {identity: {"principalId": SITE_IDENTITY}}}
    statuses = []
    for chosen in (None, identity.upper()):
        site["properties"]["keyVaultReferenceIdentity"] = chosen
        restart(world.azure, SITE_ID, world.tenant.clock.now())
        references = web.web_apps.get_app_settings_key_vault_references(GROUP, "shop")
        statuses += [require_present(each.properties).status async for each in references]

    assert statuses == ["MSINotEnabled", "Resolved"]
