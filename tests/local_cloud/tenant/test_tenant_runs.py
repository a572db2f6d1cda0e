from typing import Any

import pytest
import yarl

from tests.local_cloud.tenant.tenant_world import (
    ADMIN_FLOWS,
    BUTTON_FLOW,
    CALLING_FLOW,
    DAILY_FLOW,
    ENVIRONMENT,
    FLOW_AUDIENCE,
    HTTP,
    HTTP_FLOW,
    MAKER,
    NEW_MAIL,
    PARENT_FLOW,
    TENANT_AUTH_FLOW,
    TenantWorld,
    build_client_data,
    build_definition,
    build_http_action,
)

FLOWS = f"/environments/{ENVIRONMENT}/flows"
KEEP = "IncludeAuthorizationHeadersInOutputs"
TENANT = HTTP | {"inputs": {"triggerAuthenticationType": "Tenant"}}


async def read_ledger(world: TenantWorld) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await world.control("GET", "/ledger"))["entries"]
    return entries


async def start_flow(world: TenantWorld, flow: str) -> dict[str, Any]:
    """Start a flow manually, and return its run."""
    done: dict[str, Any] = await world.control("POST", f"{FLOWS}/{flow}/run")
    return done


async def edit_flow(world: TenantWorld, flow: str, **change: Any) -> None:
    """Edit a flow as its owner does in the designer."""
    await world.control("PATCH", f"{FLOWS}/{flow}", change)


async def test_accepted_call_is_recorded_once(world: TenantWorld) -> None:
    url = await world.get_trigger_url(HTTP_FLOW)

    answer = await world.post_to_trigger(url, user_agent="shop", x_ms_client_tracking_id="order-1")

    [entry] = await read_ledger(world)
    assert entry["run"] == answer.headers["x-ms-workflow-run-id"]
    assert entry["accepted"] is True
    assert (entry["by"], entry["trackingId"], entry["flow"]) == ("shop", "order-1", HTTP_FLOW)
    assert entry["runStatus"] == "Succeeded"
    assert entry["workflowId"] in url


async def test_caller_may_add_a_path_and_parameters(world: TenantWorld) -> None:
    url = await world.get_trigger_url(HTTP_FLOW)
    longer = url.replace("/invoke?", "/invoke/orders/7?") + "&source=shop"

    assert (await world.post_to_trigger(longer)).status == 202


@pytest.mark.parametrize(
    ("before", "after", "status", "code"),
    [
        ("&sp=", "&nothing=", 202, None),
        ("sig=", "sig=x", 401, "AuthorizationFailed"),
        ("&sig=", "&gis=", 401, "DirectApiAuthorizationRequired"),
        ("/manual/", "/other/", 404, "WorkflowTriggerNotFound"),
        ("/workflows/", "/workflowz/", 404, "ResourceNotFound"),
    ],
)
async def test_a_changed_url_is_rejected(
    world: TenantWorld, before: str, after: str, status: int, code: str | None
) -> None:
    url = (await world.get_trigger_url(HTTP_FLOW)).replace(before, after, 1)

    answer = await world.post_to_trigger(url)

    assert answer.status == status
    assert code is None or answer.code == code


async def test_an_unknown_workflow_is_not_found_and_in_the_ledger(world: TenantWorld) -> None:
    """A lost call is recorded, although no flow has a run of it."""
    url = await world.get_trigger_url(HTTP_FLOW)
    workflow_id = url.partition("/workflows/")[2][:32]

    answer = await world.post_to_trigger(url.replace(workflow_id, "0" * 32))

    [entry] = await read_ledger(world)
    assert (answer.status, answer.code) == (404, "WorkflowNotFound")
    assert entry["accepted"] is False
    assert entry["code"] == "WorkflowNotFound"


async def test_tenant_authentication_requires_the_exact_audience(
    world: TenantWorld,
) -> None:
    """As Microsoft documents it, the audience must end in a slash."""
    url = await world.get_trigger_url(TENANT_AUTH_FLOW)

    def build_headers(audience: str) -> dict[str, str]:
        return {"authorization": f"Bearer {world.issue_token(MAKER, audience)}"}

    without = await world.post_to_trigger(url)
    slashless = await world.post_to_trigger(url, **build_headers(FLOW_AUDIENCE.rstrip("/")))
    exact = await world.post_to_trigger(url, **build_headers(FLOW_AUDIENCE))
    to_signed = await world.post_to_trigger(
        await world.get_trigger_url(HTTP_FLOW), **build_headers(FLOW_AUDIENCE)
    )

    assert (without.status, without.code) == (401, "DirectApiAuthorizationRequired")
    assert (slashless.status, slashless.code) == (403, "MisMatchingOAuthClaims")
    assert exact.status == 202
    assert (to_signed.status, to_signed.code) == (401, "OAuthAccessPolicyNotFound")


async def test_a_parent_runs_its_child(world: TenantWorld) -> None:
    parent = await start_flow(world, PARENT_FLOW)

    entries = await read_ledger(world)
    assert parent["status"] == "Succeeded"
    assert [(entry["cause"], entry["flow"]) for entry in entries] == [
        ("manual", PARENT_FLOW),
        ("parent", HTTP_FLOW),
    ]
    assert entries[1]["by"] == f"flow:{PARENT_FLOW}"


async def test_a_parent_fails_when_its_child_is_off(world: TenantWorld) -> None:
    await edit_flow(world, HTTP_FLOW, state="Stopped")

    parent = await start_flow(world, PARENT_FLOW)

    assert parent["status"] == "Failed"
    assert parent["actions"]["Child"]["error"]["code"] == "ChildFlowNotAvailable"


async def test_a_flow_calls_another_by_the_url_in_a_variable(world: TenantWorld) -> None:
    caller = await start_flow(world, CALLING_FLOW)

    entries = await read_ledger(world)
    assert caller["status"] == "Succeeded"
    assert (entries[1]["cause"], entries[1]["flow"]) == ("url", HTTP_FLOW)


async def test_a_rejected_call_fails_the_run(world: TenantWorld) -> None:
    await edit_flow(world, HTTP_FLOW, state="Stopped")

    caller = await start_flow(world, CALLING_FLOW)

    assert caller["status"] == "Failed"
    assert caller["actions"]["Call"]["error"]["code"] == "WorkflowTriggerIsNotEnabled"


async def test_endless_call_loop_is_stopped(world: TenantWorld) -> None:
    content = build_definition(HTTP, build_http_action(await world.get_trigger_url(HTTP_FLOW)))
    await edit_flow(world, HTTP_FLOW, clientData=build_client_data(content))

    answer = await world.post_to_trigger(await world.get_trigger_url(HTTP_FLOW))

    outcomes = [entry["runStatus"] for entry in await read_ledger(world)]
    assert answer.status == 202
    assert outcomes[-1] == "Failed"
    assert len(outcomes) < 50


async def test_a_response_action_answers_the_caller(world: TenantWorld) -> None:
    inputs = {"statusCode": 201, "body": {"order": 7}}
    actions = {"Response": {"type": "Response", "inputs": inputs, "runAfter": {}}}
    await edit_flow(world, HTTP_FLOW, clientData=build_client_data(build_definition(HTTP, actions)))

    answer = await world.post_to_trigger(await world.get_trigger_url(HTTP_FLOW))

    assert answer.status == 201
    assert answer.body == {"order": 7}


async def test_save_of_a_flow_keeps_its_trigger_url(world: TenantWorld) -> None:
    """A new relative path gives the flow another URL."""
    before = await world.get_trigger_url(HTTP_FLOW)
    moved = HTTP | {"inputs": {"relativePath": "orders", "triggerAuthenticationType": "All"}}

    await edit_flow(world, HTTP_FLOW, clientData=build_client_data(build_definition(HTTP)))
    same = await world.get_trigger_url(HTTP_FLOW)
    await edit_flow(world, HTTP_FLOW, clientData=build_client_data(build_definition(moved)))
    other = await world.get_trigger_url(HTTP_FLOW)

    assert same == before
    assert other != before


async def test_an_outbound_call_is_denied_from_the_new_addresses(world: TenantWorld) -> None:
    group = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups/n"
    rule = {
        "access": "Allow",
        "priority": 100,
        "direction": "Inbound",
        "protocol": "Tcp",
        "destinationPortRange": "443",
        "sourceAddressPrefix": "LogicApps.WestEurope",
    }
    guard = {
        "id": group,
        "guards": {"erp.contoso.example": "10.0.1.4"},
        "securityRules": [{"name": "flows", "properties": rule}],
    }
    await world.control("POST", "/azure/seed", {"networkSecurityGroups": [guard]})
    content = build_definition(HTTP, build_http_action("https://erp.contoso.example/orders"))
    await edit_flow(world, BUTTON_FLOW, clientData=build_client_data(content))

    before = await start_flow(world, BUTTON_FLOW)
    world.environment.flows[BUTTON_FLOW].protected_since = world.tenant.clock.now()
    after = await start_flow(world, BUTTON_FLOW)

    assert before["status"] == "Succeeded"
    assert after["status"] == "Failed"
    assert "actively refused it" in after["actions"]["Call"]["error"]["message"]


async def test_long_run_is_in_progress_until_its_end(world: TenantWorld) -> None:
    """The tenant executes the actions of a run at its end."""
    await edit_flow(world, PARENT_FLOW, runSeconds=600)

    begun = await start_flow(world, PARENT_FLOW)
    halfway = await read_ledger(world)
    await world.control("POST", "/clock/advance", {"seconds": 601})
    runs = await world.read_all_pages(f"{ADMIN_FLOWS}/flows/{PARENT_FLOW}/runs")

    assert begun["status"] == "Running"
    assert [entry["flow"] for entry in halfway] == [PARENT_FLOW]
    assert [entry["flow"] for entry in await read_ledger(world)] == [PARENT_FLOW, HTTP_FLOW]
    assert runs[0]["properties"]["status"] == "Succeeded"


async def test_recurrence_runs_when_due_and_skips_missed_slots(world: TenantWorld) -> None:
    await world.control("POST", "/clock/advance", {"seconds": 86401})
    one = len(await read_ledger(world))
    await world.control("POST", "/clock/advance", {"seconds": 3 * 86400})
    two = len(await read_ledger(world))
    await edit_flow(world, DAILY_FLOW, state="Stopped")
    await world.control("POST", "/clock/advance", {"seconds": 86401})

    assert (one, two) == (1, 2)
    assert len(await read_ledger(world)) == 2


async def test_polling_trigger_processes_its_backlog_after_it_is_turned_on(
    world: TenantWorld,
) -> None:
    """Events that occur while a polling flow is off start runs when it is turned on."""
    await edit_flow(world, BUTTON_FLOW, clientData=build_client_data(build_definition(NEW_MAIL)))
    event = {"operationId": "OnNewEmailV3"}

    at_once = await world.control("POST", f"/environments/{ENVIRONMENT}/events", event)
    await edit_flow(world, BUTTON_FLOW, state="Stopped")
    missed = await world.control("POST", f"/environments/{ENVIRONMENT}/events", event)
    while_off = len(await read_ledger(world))
    await edit_flow(world, BUTTON_FLOW, state="Started")

    assert at_once["started"] == [BUTTON_FLOW]
    assert missed["started"] == []
    assert while_off == 1
    assert len(await read_ledger(world)) == 2


async def read_outputs_link(world: TenantWorld, flow: str) -> str | None:
    """Return the signed link to the trigger outputs of a flow's newest run, or None."""
    newest, *_ = await world.read_all_pages(f"{ADMIN_FLOWS}/flows/{flow}/runs")
    link = newest["properties"]["trigger"].get("outputsLink")
    return link and str(link["uri"])


async def fetch_link(world: TenantWorld, link: str | None, **headers: str) -> tuple[int, Any]:
    """Call a link as it is, without encoding it again."""
    url = yarl.URL(link or "", encoded=True)
    async with world.session.get(url, headers=headers, proxy=world.server.proxy_url) as response:
        return response.status, await response.json()


async def test_a_signed_link_shows_what_called_a_flow(world: TenantWorld) -> None:
    await world.post_to_trigger(
        await world.get_trigger_url(HTTP_FLOW),
        user_agent="curl/8.5.0",
        x_forwarded_for="203.0.113.7",
    )
    link = await read_outputs_link(world, HTTP_FLOW)

    status, outputs = await fetch_link(world, link)
    with_token, _ = await fetch_link(world, link, Authorization="Bearer token")
    changed, _ = await fetch_link(world, (link or "").replace("sig=", "sig=A"))
    await world.control("POST", "/clock/advance", {"seconds": 6 * 3600})
    expired, _ = await fetch_link(world, link)

    assert status == 200
    assert outputs["headers"]["User-Agent"] == "curl/8.5.0"
    assert outputs["headers"]["X-Forwarded-For"] == "203.0.113.7"
    assert outputs["body"] == {}
    assert (with_token, changed, expired) == (401, 401, 403)


@pytest.mark.parametrize(("option", "is_shown"), [("", False), (KEEP, True)])
async def test_token_of_a_call_is_in_the_outputs_if_the_trigger_keeps_it(
    world: TenantWorld, option: str, *, is_shown: bool
) -> None:
    """By default, the platform removes the token from the outputs."""
    await edit_flow(
        world,
        HTTP_FLOW,
        clientData=build_client_data(build_definition(TENANT | {"operationOptions": option})),
    )
    token = world.issue_token(MAKER, FLOW_AUDIENCE)
    url = (await world.get_trigger_url(HTTP_FLOW)).partition("&sp=")[0]

    answer = await world.post_to_trigger(url, Authorization=f"Bearer {token}")
    _, outputs = await fetch_link(world, await read_outputs_link(world, HTTP_FLOW))

    assert answer.status == 202
    assert ("Authorization" in outputs["headers"]) is is_shown


async def test_a_calling_flow_names_itself_in_the_headers(world: TenantWorld) -> None:
    await start_flow(world, CALLING_FLOW)
    _, outputs = await fetch_link(world, await read_outputs_link(world, HTTP_FLOW))
    await start_flow(world, HTTP_FLOW)
    started_manually = await read_outputs_link(world, HTTP_FLOW)
    secure = {"runtimeConfiguration": {"secureData": {"properties": ["outputs"]}}}
    await edit_flow(world, HTTP_FLOW, clientData=build_client_data(build_definition(HTTP | secure)))
    await world.post_to_trigger(await world.get_trigger_url(HTTP_FLOW))

    headers = outputs["headers"]
    caller = world.environment.workflows[CALLING_FLOW]
    assert headers["x-ms-workflow-id"] == caller.workflow_id
    assert headers["x-ms-workflow-name"] == caller.name
    assert headers["User-Agent"].startswith("azure-logic-apps/1.0,(workflow ")
    assert started_manually is None
    assert await read_outputs_link(world, HTTP_FLOW) is None
