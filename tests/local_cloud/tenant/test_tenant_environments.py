from functools import partial

import pytest

from tests.local_cloud.tenant.tenant_world import (
    ADMIN_FLOWS,
    BAP,
    BUTTON_FLOW,
    CALLING_FLOW,
    DAILY_FLOW,
    ENVIRONMENT,
    HTTP_FLOW,
    MAKER,
    MAKER_FLOWS,
    ORG_API,
    OTHER_REGION,
    PARENT_FLOW,
    POLICY_ID,
    TENANT_AUTH_FLOW,
    TenantWorld,
)

REPORT = f"{ADMIN_FLOWS}/nonCmkMigratedFlows"
STUCK = {HTTP_FLOW, TENANT_AUTH_FLOW, PARENT_FLOW}
MOVING = {DAILY_FLOW, CALLING_FLOW, BUTTON_FLOW}


async def read_system_id(world: TenantWorld) -> str:
    url = f"https://management.azure.com{POLICY_ID}"
    answer = await world.call(
        "GET", url, audience="https://management.azure.com/", query={"api-version": "2020-10-30"}
    )
    found: str = answer.body["properties"]["systemId"]
    return found


def build_link_url(environment: str, verb: str = "link") -> str:
    return f"{BAP}/environments/{environment}/enterprisePolicies/Encryption/{verb}"


async def read_report(world: TenantWorld, query: dict[str, str] | None = None) -> set[str]:
    return {item["name"] for item in await world.read_all_pages(REPORT, query=query)}


async def test_environments_come_in_pages(world: TenantWorld) -> None:
    world.platform.assumptions.environment_page = 1

    environments = await world.read_all_pages(f"{BAP}/scopes/admin/environments")

    assert [each["name"] for each in environments] == [ENVIRONMENT, OTHER_REGION]


async def test_environment_contains_its_dataverse_host(world: TenantWorld) -> None:
    answer = await world.call("GET", f"{BAP}/scopes/admin/environments/{ENVIRONMENT}")

    properties = answer.body["properties"]
    metadata = properties["linkedEnvironmentMetadata"]
    assert metadata["instanceApiUrl"] == "https://contoso.api.crm4.dynamics.com"
    assert properties["governanceConfiguration"]["protectionLevel"] == "Standard"
    assert "enterprisePolicies" not in properties


async def test_an_unknown_environment_is_not_found(world: TenantWorld) -> None:
    missing = await world.call("GET", f"{BAP}/scopes/admin/environments/nowhere")
    denied = await world.call("GET", REPORT.replace(ENVIRONMENT, "nowhere"))

    assert (missing.status, missing.code) == (404, "EnvironmentNotFound")
    assert (denied.status, denied.code) == (403, "EnvironmentAccessDenied")


async def test_a_link_is_an_operation_to_be_polled(world: TenantWorld) -> None:
    body = {"SystemId": await read_system_id(world)}

    started = await world.call("POST", build_link_url(ENVIRONMENT), body)
    running = await world.call("GET", started.headers["operation-location"])
    during = await world.call("GET", f"{BAP}/scopes/admin/environments/{ENVIRONMENT}")
    await world.control("POST", "/clock/advance", {"seconds": 11})
    ended = await world.call("GET", started.headers["operation-location"])
    after = await world.call("GET", f"{BAP}/scopes/admin/environments/{ENVIRONMENT}")

    assert started.status == 202
    assert int(started.headers["Retry-After"]) > 0
    assert [running.body["state"]["id"], ended.body["state"]["id"]] == ["Running", "Succeeded"]
    assert during.body["properties"]["states"]["runtime"]["id"] == "Disabled"
    keys = during.body["properties"]["enterprisePolicies"]["customerManagedKeys"]
    assert keys["linkStatus"] == "Linking"
    properties = after.body["properties"]
    assert properties["enterprisePolicies"]["customerManagedKeys"]["linkStatus"] == "Linked"
    assert properties["states"]["runtime"]["id"] == "Enabled"


async def test_failed_link_can_be_requested_again(world: TenantWorld) -> None:
    await world.control("PUT", "/assumptions", {"links_that_fail": 1})
    body = {"SystemId": await read_system_id(world)}

    started = await world.call("POST", build_link_url(ENVIRONMENT), body)
    await world.control("POST", "/clock/advance", {"seconds": 11})
    ended = await world.call("GET", started.headers["operation-location"])
    environment = await world.control("GET", f"/environments/{ENVIRONMENT}")
    again = await world.call("POST", build_link_url(ENVIRONMENT), body)

    assert ended.body["state"]["id"] == "Failed"
    assert ended.body["error"]["code"] == "EncryptionFailed"
    assert environment["linkStatus"] == "Failed"
    assert environment["isMigrating"] is False
    assert again.status == 202


async def test_link_during_another_operation_is_rejected(world: TenantWorld) -> None:
    body = {"systemId": await read_system_id(world)}
    await world.call("POST", build_link_url(ENVIRONMENT), body)

    answer = await world.call("POST", build_link_url(ENVIRONMENT), body)

    assert answer.status == 409


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"isManaged": False}, "EnvironmentNotManaged"),
        ({"sku": "Trial"}, "EnvironmentSkuNotSupported"),
    ],
)
async def test_unmanaged_and_trial_environments_are_not_linked(
    world: TenantWorld, change: dict[str, object], code: str
) -> None:
    await world.control("PATCH", f"/environments/{ENVIRONMENT}", change)

    answer = await world.call(
        "POST", build_link_url(ENVIRONMENT), {"SystemId": await read_system_id(world)}
    )

    assert (answer.status, answer.code) == (400, code)


async def test_an_environment_of_another_region_is_not_linked(world: TenantWorld) -> None:
    """Policy and environment must be in the same geography."""
    answer = await world.call(
        "POST", build_link_url(OTHER_REGION), {"SystemId": await read_system_id(world)}
    )

    assert answer.code == "EnterprisePolicyRegionMismatch"


async def test_policy_region_uk_matches_environment_region_unitedkingdom(
    world: TenantWorld,
) -> None:
    """Policies and environments name this geography differently.

    See platform.md#policy-regions.
    """
    world.environment.location = "unitedkingdom"
    url = f"https://management.azure.com{POLICY_ID}"
    call = partial(
        world.call, audience="https://management.azure.com/", query={"api-version": "2020-10-30"}
    )
    policy = (await call("GET", url)).body
    await call("PUT", url, policy | {"location": "uk"})

    answer = await world.call(
        "POST", build_link_url(ENVIRONMENT), {"SystemId": await read_system_id(world)}
    )

    assert answer.status == 202


async def test_a_tenant_has_a_limit_of_linked_environments(world: TenantWorld) -> None:
    world.platform.assumptions.linked_environments_limit = 0

    answer = await world.call(
        "POST", build_link_url(ENVIRONMENT), {"SystemId": await read_system_id(world)}
    )

    assert answer.code == "CustomerManagedKeyEnvironmentLimitReached"


async def test_reports_without_a_policy_list_the_flows_that_would_stay(world: TenantWorld) -> None:
    everything = await read_report(world)
    staying = await read_report(world, query={"exclude": "cmkMigrationSupportedFlows"})

    assert everything == STUCK | MOVING
    assert staying == STUCK


async def test_flows_migrate_one_by_one_until_both_reports_are_equal(world: TenantWorld) -> None:
    await world.link()
    sizes = []
    for _ in range(4):
        sizes.append(len(await read_report(world)))
        await world.control("POST", "/clock/advance", {"seconds": 34})

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == len(STUCK | MOVING)
    assert await read_report(world) == STUCK
    assert await read_report(world, query={"exclude": "cmkMigrationSupportedFlows"}) == STUCK


async def test_writes_are_rejected_while_flows_migrate(world: TenantWorld) -> None:
    """Dataverse and the flow service accept writes again after the migration."""
    await world.link()
    change = {"description": "changed"}

    during = await world.call("PATCH", f"{ORG_API}/workflows({HTTP_FLOW})", change)
    stopping = await world.call("POST", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/stop", {})
    await world.control("POST", "/clock/advance", {"seconds": 101})
    after = await world.call("PATCH", f"{ORG_API}/workflows({HTTP_FLOW})", change)

    assert (during.status, during.code) == (409, "EnvironmentMigrationInProgress")
    assert (stopping.status, stopping.code) == (409, "EnvironmentMigrationInProgress")
    assert after.status == 204


async def test_assumption_holds_all_flows_on_microsofts_key(world: TenantWorld) -> None:
    await world.control("PUT", "/assumptions", {"hold_all_flows": True})

    await world.migrate()

    assert await read_report(world) == STUCK | MOVING


async def test_the_cmk_status_follows_the_migration(world: TenantWorld) -> None:
    """Only users can read this status, not applications."""
    url = f"{MAKER_FLOWS}/cmkstatus"

    before = await world.call("GET", url, who=MAKER)
    await world.link()
    during = await world.call("GET", url, who=MAKER)
    await world.control("POST", "/clock/advance", {"seconds": 101})
    after = await world.call("GET", url, who=MAKER)
    app_only = await world.call("GET", url)

    states = [answer.body["status"] for answer in (before, during, after)]
    assert states == ["NotStarted", "InProgress", "PartiallyCompleted"]
    assert app_only.status == 403


async def test_an_unlink_returns_all_flows_to_microsofts_key(world: TenantWorld) -> None:
    await world.migrate()

    answer = await world.call(
        "POST", build_link_url(ENVIRONMENT, "unlink"), {"SystemId": await read_system_id(world)}
    )
    await world.control("POST", "/clock/advance", {"seconds": 11})

    assert answer.status == 202
    assert await read_report(world) == STUCK | MOVING


async def test_an_environment_without_a_usable_key_is_locked(world: TenantWorld) -> None:
    await world.migrate()
    url = await world.get_trigger_url(HTTP_FLOW)
    vault = "https://kv-cmk.vault.azure.net"
    keys = await world.call(
        "GET",
        f"{vault}/keys/pp-cmk",
        audience="https://vault.azure.net",
        query={"api-version": "7.4"},
    )
    version = keys.body["key"]["kid"].rpartition("/")[2]

    await world.call(
        "PATCH",
        f"{vault}/keys/pp-cmk/{version}",
        {"attributes": {"enabled": False}},
        audience="https://vault.azure.net",
        query={"api-version": "7.4"},
    )

    environment = await world.call("GET", f"{BAP}/scopes/admin/environments/{ENVIRONMENT}")
    assert environment.body["properties"]["states"]["runtime"]["id"] == "Disabled"
    assert (await world.post_to_trigger(url)).status == 403
