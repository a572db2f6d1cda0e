from typing import Any

from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    ADMIN_FLOWS,
    APP,
    BUTTON_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    MAKER_FLOWS,
    TENANT_AUTH_FLOW,
    UNLICENSED,
    TenantWorld,
    build_definition,
)

WITH_SOLUTIONS = {"include": "includeSolutionCloudFlows"}


def build_callback_path(flow: str, trigger: str = "manual") -> str:
    return f"{MAKER_FLOWS}/flows/{flow}/triggers/{trigger}/listCallbackUrl"


def build_new_flow(**properties: Any) -> dict[str, Any]:
    return {
        "properties": {
            "displayName": "Copy",
            "definition": build_definition(HTTP),
            "state": "Started",
            "connectionReferences": {},
            "environment": {"name": ENVIRONMENT},
        }
        | properties
    }


async def make_co_owner(world: TenantWorld, flow: str, who: str) -> int:
    principal = {"id": who, "type": "User"}
    body = {"put": [{"properties": {"principal": principal, "roleName": "CanEdit"}}]}
    answer = await world.call("POST", f"{ADMIN_FLOWS}/flows/{flow}/modifyPermissions", body)
    return answer.status


async def test_the_administrators_list_is_lean_and_paged(world: TenantWorld) -> None:
    world.platform.assumptions.flow_page = 4

    flows = await world.read_all_pages(f"{ADMIN_FLOWS}/v2/flows", query=WITH_SOLUTIONS)

    assert len(flows) == 6
    assert "definition" not in flows[0]["properties"]
    assert flows[0]["properties"]["definitionSummary"] == {"triggers": [], "actions": []}
    assert flows[0]["properties"]["workflowEntityId"] == HTTP_FLOW
    assert "workflowEntityId" not in flows[5]["properties"]


async def test_single_flow_is_read_with_its_definition(world: TenantWorld) -> None:
    url = f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}".replace("Microsoft.Process", "microsoft.process")

    answer = await world.call("GET", url)

    assert answer.body["properties"]["definition"] == build_definition(HTTP)
    assert "sig=" not in answer.body["properties"]["flowTriggerUri"]


async def test_an_unknown_flow_is_not_found_by_an_administrator(world: TenantWorld) -> None:
    """A maker gets a 403 for somebody else's flow."""
    missing = await world.call("GET", f"{ADMIN_FLOWS}/flows/{ENVIRONMENT}")
    refused = await world.call("GET", f"{MAKER_FLOWS}/flows/{HTTP_FLOW}", who=ADMIN)

    assert (missing.status, missing.code) == (404, "FlowNotFound")
    assert (refused.status, refused.code) == (403, "ConnectionAuthorizationFailed")


async def test_trigger_url_in_the_response_starts_the_flow(world: TenantWorld) -> None:
    answer = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=MAKER)

    url = answer.body["response"]["value"]
    called = await world.post_to_trigger(url)
    assert answer.body["response"]["method"] == "POST"
    assert called.status == 202
    assert called.headers["x-ms-workflow-run-id"].startswith("0858")


async def test_only_a_co_owner_can_read_the_trigger_url(world: TenantWorld) -> None:
    by_application = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=APP)
    by_stranger = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=ADMIN)

    added = await make_co_owner(world, HTTP_FLOW, ADMIN)
    by_co_owner = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=ADMIN)
    permissions = await world.call("GET", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/permissions")
    entry = next(each for each in permissions.body["value"] if each["name"] == ADMIN)
    removed = await world.call(
        "POST",
        f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/modifyPermissions",
        {"delete": [{"id": entry["id"]}]},
    )
    afterwards = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=ADMIN)

    assert by_application.code == "ApplicationTokenNotSupported"
    assert by_stranger.code == "ConnectionAuthorizationFailed"
    assert [added, by_co_owner.status, removed.status] == [200, 200, 200]
    assert entry["properties"]["roleName"] == "CanEdit"
    assert afterwards.status == 403


async def test_lower_role_for_an_owner_or_co_owner_is_rejected(world: TenantWorld) -> None:
    """See platform.md#permission-downgrades."""
    url = f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/modifyPermissions"
    to_owner = {"principal": {"id": MAKER, "type": "User"}, "roleName": "CanEdit"}
    to_co_owner = {"principal": {"id": ADMIN, "type": "User"}, "roleName": "CanView"}
    await make_co_owner(world, HTTP_FLOW, ADMIN)

    answers = [
        await world.call("POST", url, {"put": [{"properties": properties}]})
        for properties in (to_owner, to_co_owner)
    ]

    assert [answer.code for answer in answers] == ["PermissionDowngradeNotAllowed"] * 2
    assert await make_co_owner(world, HTTP_FLOW, ADMIN) == 200


async def test_a_co_owner_needs_a_role_in_dataverse(world: TenantWorld) -> None:
    """Only users of the environment's Dataverse can read flows as makers."""
    await make_co_owner(world, HTTP_FLOW, ADMIN)
    row = world.environment.users.pop(ADMIN)

    without = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=ADMIN)
    world.environment.users[ADMIN] = row
    with_one = await world.call("POST", build_callback_path(HTTP_FLOW), {}, who=ADMIN)

    assert (without.status, without.code) == (403, "InsufficientCdsPermissions")
    assert with_one.status == 200


async def test_some_triggers_have_no_callback_url(world: TenantWorld) -> None:
    blocked = await world.call("POST", build_callback_path(BUTTON_FLOW), {}, who=MAKER)
    missing = await world.call("POST", build_callback_path(HTTP_FLOW, "other"), {}, who=MAKER)

    assert (blocked.status, blocked.code) == (400, "ListCallbackUrlOperationBlocked")
    assert (missing.status, missing.code) == (404, "WorkflowTriggerNotFound")


async def test_a_url_with_tenant_authentication_has_no_signature(world: TenantWorld) -> None:
    """Callers of such a URL send a token instead."""
    answer = await world.call("POST", build_callback_path(TENANT_AUTH_FLOW), {}, who=MAKER)

    assert answer.body["response"]["value"].endswith("/paths/invoke?api-version=1")


async def test_new_access_key_invalidates_the_old_url(world: TenantWorld) -> None:
    old = await world.get_trigger_url(HTTP_FLOW)

    await world.call("POST", f"{MAKER_FLOWS}/flows/{HTTP_FLOW}/regenerateAccessKey", {}, who=MAKER)
    new = await world.get_trigger_url(HTTP_FLOW)

    assert old.partition("sig=")[0] == new.partition("sig=")[0]
    assert (await world.post_to_trigger(old)).status == 401
    assert (await world.post_to_trigger(new)).status == 202


async def test_created_flow_belongs_to_its_creator_and_is_on_your_key(world: TenantWorld) -> None:
    await world.migrate()
    before = await world.get_trigger_url(HTTP_FLOW)

    answer = await world.call("POST", f"{MAKER_FLOWS}/flows", build_new_flow(), who=MAKER)

    name = answer.body["name"]
    reported = {
        each["name"] for each in await world.read_all_pages(f"{ADMIN_FLOWS}/nonCmkMigratedFlows")
    }
    assert answer.status == 201
    assert answer.body["properties"]["state"] == "Started"
    assert answer.body["properties"]["creator"]["objectId"] == MAKER
    assert name not in reported
    assert HTTP_FLOW in reported
    assert await world.get_trigger_url(name) != before


async def test_creating_twice_makes_two_flows(world: TenantWorld) -> None:
    """Clients must not repeat such a request blindly."""
    first = await world.call("POST", f"{MAKER_FLOWS}/flows", build_new_flow(), who=MAKER)
    second = await world.call("POST", f"{MAKER_FLOWS}/flows", build_new_flow(), who=MAKER)

    assert first.body["name"] != second.body["name"]


async def test_a_premium_flow_of_an_unlicensed_owner_stays_off(world: TenantWorld) -> None:
    created = await world.call("POST", f"{MAKER_FLOWS}/flows", build_new_flow(), who=UNLICENSED)
    url = f"{MAKER_FLOWS}/flows/{created.body['name']}/start"
    started = await world.call("POST", url, {}, who=UNLICENSED)

    assert created.body["properties"]["state"] == "Stopped"
    assert (started.status, started.code) == (403, "MissingAdequateQuotaPolicy")


async def test_connection_of_another_person_cannot_be_bound(world: TenantWorld) -> None:
    reference = {
        "connectionName": "office-maker",
        "source": "Embedded",
        "id": "/providers/Microsoft.PowerApps/apis/shared_office365",
    }
    body = build_new_flow(connectionReferences={"shared_office365": reference})

    refused = await world.call("POST", f"{MAKER_FLOWS}/flows", body, who=ADMIN)
    allowed = await world.call("POST", f"{MAKER_FLOWS}/flows", body, who=MAKER)

    assert (refused.status, refused.code) == (403, "ConnectionAuthorizationFailed")
    assert allowed.status == 201
    assert len(await world.read_all_pages(f"{ADMIN_FLOWS}/v2/flows", query=WITH_SOLUTIONS)) == 7


async def test_an_owner_has_a_limit_of_flows(world: TenantWorld) -> None:
    world.platform.assumptions.flows_per_owner = 1

    answer = await world.call("POST", f"{MAKER_FLOWS}/flows", build_new_flow(), who=MAKER)

    assert answer.status == 403


async def test_a_stopped_flow_starts_again_at_the_same_url(world: TenantWorld) -> None:
    before = await world.get_trigger_url(HTTP_FLOW)

    await world.call("POST", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/stop", {})
    stopped = await world.post_to_trigger(before)
    await world.call("POST", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/start", {})
    started = await world.post_to_trigger(before)

    assert (stopped.status, stopped.code) == (400, "WorkflowTriggerIsNotEnabled")
    assert "state 'Disabled'" in stopped.body["error"]["message"]
    assert started.status == 202


async def test_activation_may_be_lost(world: TenantWorld) -> None:
    """The response is 200, although the flow stays off."""
    await world.call("POST", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/stop", {})
    await world.control("PUT", "/assumptions", {"activations_that_do_not_stick": 1})

    states = []
    for _ in range(2):
        answer = await world.call("POST", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/start", {})
        flow = await world.call("GET", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}")
        states.append((answer.status, flow.body["properties"]["state"]))

    assert states == [(200, "Stopped"), (200, "Started")]


async def test_reads_may_lag_behind_a_change_of_state(world: TenantWorld) -> None:
    """A read may show *Started* although the flow is off and rejects calls."""
    await world.control("PUT", "/assumptions", {"read_lag_seconds": [30, 30]})
    url = f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}"

    await world.call("POST", f"{url}/stop", {})
    called = await world.post_to_trigger(await world.get_trigger_url(HTTP_FLOW))
    soon = await world.call("GET", url)
    await world.control("POST", "/clock/advance", {"seconds": 31})
    later = await world.call("GET", url)

    assert called.status == 400
    assert soon.body["properties"]["state"] == "Started"
    assert later.body["properties"]["state"] == "Stopped"


async def test_definitions_may_be_hidden_from_administrators(world: TenantWorld) -> None:
    """Dataverse still shows the definition."""
    assumption = {"definitions_hidden_from_administrators": True}
    await world.control("PUT", "/assumptions", assumption)
    url = f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}"

    hidden = await world.call("GET", url)
    await make_co_owner(world, HTTP_FLOW, APP)
    shown = await world.call("GET", url)

    assert "definition" not in hidden.body["properties"]
    assert "definition" in shown.body["properties"]


async def test_a_deleted_flow_can_be_restored(world: TenantWorld) -> None:
    url = f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}"
    trigger = await world.get_trigger_url(HTTP_FLOW)

    await world.call("DELETE", url)
    missing = await world.call("GET", url)
    include = {"include": "softDeletedFlows,includeSolutionCloudFlows"}
    binned = await world.read_all_pages(f"{ADMIN_FLOWS}/v2/flows", query=include)
    called = await world.post_to_trigger(trigger)
    restored = await world.call("POST", f"{url}/restore", {})
    back = await world.call("GET", url)

    assert missing.status == 404
    assert [each["name"] for each in binned if each["properties"]["state"] == "Deleted"] == [
        HTTP_FLOW
    ]
    assert (called.status, called.code) == (400, "WorkflowTriggerIsNotEnabled")
    assert restored.status == 200
    assert back.body["properties"]["state"] == "Stopped"


async def test_runs_are_filtered_and_paged(world: TenantWorld) -> None:
    url = await world.get_trigger_url(HTTP_FLOW)
    for _ in range(3):
        await world.post_to_trigger(url)
    runs = f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/runs"

    everything = await world.read_all_pages(runs)
    first = await world.call("GET", runs, query={"$top": "2"})
    failed = await world.call("GET", runs, query={"$filter": "status eq 'Failed'"})

    starts = [run["properties"]["startTime"] for run in everything]
    assert len(starts) == 3
    assert starts == sorted(starts, reverse=True)
    assert len(first.body["value"]) == 2
    assert "nextLink" in first.body
    assert failed.body["value"] == []


async def test_flows_move_into_a_solution_in_batches(world: TenantWorld) -> None:
    url = f"{ADMIN_FLOWS}/migrateFlows"

    too_many = await world.call("POST", url, {"flowsToMigrate": [BUTTON_FLOW] * 21})
    moved = await world.call("POST", url, {"flowsToMigrate": [BUTTON_FLOW]})
    flow = await world.call("GET", f"{ADMIN_FLOWS}/flows/{BUTTON_FLOW}")

    assert [too_many.status, moved.status] == [400, 202]
    assert flow.body["properties"]["workflowEntityId"] == BUTTON_FLOW


async def test_api_version_is_required(world: TenantWorld) -> None:
    answer = await world.call("GET", f"{ADMIN_FLOWS}/v2/flows", query={"api-version": ""})

    assert (answer.status, answer.code) == (400, "MissingApiVersionParameter")
