import pytest

from tests.local_cloud.tenant.dataverse_flow import (
    AS_MAKER,
    WORKFLOWS,
    parse_inner_error,
    read_flow,
)
from tests.local_cloud.tenant.tenant_world import (
    BUTTON_FLOW,
    CALLING_FLOW,
    ENVIRONMENT,
    HTTP_FLOW,
    MAKER,
    ORG_API,
    PARENT_FLOW,
    TenantWorld,
)


async def test_flows_are_read_in_pages_with_their_definitions(world: TenantWorld) -> None:
    query = {
        "$filter": "category eq 5 and type eq 1",
        "$select": "workflowid,name,statecode,clientdata,_ownerid_value",
    }
    headers = {"Prefer": "odata.maxpagesize=4"}

    first = await world.call("GET", WORKFLOWS, query=query, headers=headers)
    rows = await world.read_all_pages(WORKFLOWS, query=query, headers=headers)

    assert len(first.body["value"]) == 4
    assert len(rows) == 6
    assert set(rows[0]) == {
        "@odata.etag",
        "workflowid",
        "name",
        "statecode",
        "clientdata",
        "_ownerid_value",
    }


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("name eq 'Daily'", {"Daily"}),
        ("statecode eq 1 and contains(clientdata,'Recurrence')", {"Daily"}),
        ("startswith(name,'Tenant') or endswith(name,'button')", {"Tenant only", "Button"}),
        ("not (name ne 'Parent')", {"Parent"}),
        (f"workflowid eq {HTTP_FLOW}", {"Receive order"}),
    ],
)
async def test_rows_are_filtered(world: TenantWorld, expression: str, names: set[str]) -> None:
    rows = await world.read_all_pages(WORKFLOWS, query={"$filter": expression, "$select": "name"})

    assert {row["name"] for row in rows} == names


async def test_unsupported_filter_is_rejected(world: TenantWorld) -> None:
    answer = await world.call("GET", WORKFLOWS, query={"$filter": "name like 'x'"})

    assert answer.status == 400


async def test_environment_variables_are_read_with_their_definitions(world: TenantWorld) -> None:
    url = f"{ORG_API}/environmentvariablevalues"
    expand = "EnvironmentVariableDefinitionId($select=schemaname,defaultvalue,type)"
    query = {"$select": "environmentvariablevalueid,value,schemaname", "$expand": expand}

    [row] = await world.read_all_pages(url, query=query)
    row_id = row["environmentvariablevalueid"]
    patched = await world.call(
        "PATCH", f"{url}({row_id})", {"value": "new"}, headers={"If-Match": row["@odata.etag"]}
    )
    stale = await world.call(
        "PATCH", f"{url}({row_id})", {"value": "newer"}, headers={"If-Match": row["@odata.etag"]}
    )
    after = await world.call("GET", f"{url}({row_id})")

    assert row["EnvironmentVariableDefinitionId"]["schemaname"] == "cr1_ordersurl"
    assert row["value"].startswith("https://")
    assert (patched.status, stale.status) == (204, 412)
    assert after.body["value"] == "new"


async def test_flow_uses_a_new_variable_value_only_after_it_is_saved(world: TenantWorld) -> None:
    url = f"{ORG_API}/environmentvariablevalues"
    [row] = await world.read_all_pages(url)
    await world.call(
        "PATCH", f"{url}({row['environmentvariablevalueid']})", {"value": "https://new.example/"}
    )
    path = f"/environments/{ENVIRONMENT}/flows/{CALLING_FLOW}"

    stale = await world.control("GET", path)
    saved = (await read_flow(world, CALLING_FLOW))["clientdata"]
    await world.call("PATCH", f"{WORKFLOWS}({CALLING_FLOW})", {"clientdata": saved})
    fresh = await world.control("GET", path)

    parameter = "Orders URL (cr1_ordersurl)"
    assert stale["savedVariables"][parameter] == await world.get_trigger_url(HTTP_FLOW)
    assert fresh["savedVariables"][parameter] == "https://new.example/"


async def test_webhooks_are_read_and_changed(world: TenantWorld) -> None:
    """Dataverse stores the URL of a webhook in a service endpoint."""
    url = f"{ORG_API}/serviceendpoints"

    [row] = await world.read_all_pages(url, query={"$filter": "contract eq 8"})
    await world.call("PATCH", f"{url}({row['serviceendpointid']})", {"url": "https://new.example"})
    after = await world.call("GET", f"{url}({row['serviceendpointid']})")

    assert row["url"] == await world.get_trigger_url(HTTP_FLOW)
    assert after.body["url"] == "https://new.example"


@pytest.mark.parametrize(
    ("change", "condition", "status", "code"),
    [
        ({"url": "x" * 2001}, "*", 400, "0x80044331"),
        ({"url": "https://new.example"}, 'W/"1"', 400, "0x8006088d"),
    ],
)
async def test_webhook_rejects_a_long_url_and_a_version(
    world: TenantWorld, change: dict[str, str], condition: str, status: int, code: str
) -> None:
    [row] = await world.read_all_pages(f"{ORG_API}/serviceendpoints")

    url = f"{ORG_API}/serviceendpoints({row['serviceendpointid']})"
    refused = await world.call("PATCH", url, change, headers={"If-Match": condition})

    assert (refused.status, refused.code) == (status, code)
    assert "@odata.etag" not in row


async def test_authentication_value_of_a_webhook_is_never_returned(world: TenantWorld) -> None:
    """A read shows only whether the value is set."""
    [row] = await world.read_all_pages(f"{ORG_API}/serviceendpoints")
    url = f"{ORG_API}/serviceendpoints({row['serviceendpointid']})"

    await world.call("PATCH", url, {"authvalue": "sig=x"})
    after = await world.call("GET", url)

    assert (row["isauthvalueset"], after.body["isauthvalueset"]) == (False, True)
    assert "authvalue" not in after.body


async def test_maker_reads_own_flows_only_and_a_stranger_none(world: TenantWorld) -> None:
    mine = await world.read_all_pages(WORKFLOWS, who=MAKER)
    none = await world.read_all_pages(WORKFLOWS, who="b0000000-0000-4000-8000-000000000003")
    refused = await world.call(
        "PATCH",
        f"{WORKFLOWS}({PARENT_FLOW})",
        {"name": "x"},
        who="b0000000-0000-4000-8000-000000000003",
    )

    assert len(mine) == 6
    assert none == []
    assert (refused.status, refused.code) == (403, "0x80040220")


async def test_flows_outside_solutions_have_rows_if_assumed(world: TenantWorld) -> None:
    with_rows = {row["workflowid"] for row in await world.read_all_pages(WORKFLOWS)}
    await world.control("PUT", "/assumptions", {"my_flows_have_rows": False})
    without = {row["workflowid"] for row in await world.read_all_pages(WORKFLOWS)}

    assert with_rows - without == {BUTTON_FLOW}


async def test_table_definition_shows_if_rows_have_etags(world: TenantWorld) -> None:
    url = f"{ORG_API}/EntityDefinitions(LogicalName='workflow')"

    answer = await world.call("GET", url)

    assert answer.body["IsOptimisticConcurrencyEnabled"] is True


@pytest.mark.parametrize(
    ("name", "entity_sets"),
    [("workflow", ["workflows"]), ("serviceendpoint", ["serviceendpoints"]), ("bot", [])],
)
async def test_tables_of_an_environment_are_found_by_name(
    world: TenantWorld, name: str, entity_sets: list[str]
) -> None:
    url, query = f"{ORG_API}/EntityDefinitions", {"$filter": f"LogicalName eq '{name}'"}

    listed = await world.call("GET", url, query={**query, "$select": "EntitySetName"})
    choices = await world.call(
        "GET",
        f"{url}(LogicalName='{name}')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
    )

    assert [one["EntitySetName"] for one in listed.body["value"]] == entity_sets
    assert choices.status == (200 if entity_sets else 404)


async def test_throttled_request_gets_the_code_of_dataverse(world: TenantWorld) -> None:
    await world.control("PUT", "/budgets", {"dataverse": {"calls": 1, "seconds": 300}})

    await world.call("GET", WORKFLOWS)
    answer = await world.call("GET", WORKFLOWS)

    assert (answer.status, answer.code) == (429, "0x80072322")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_member_may_add_connection_references_and_change_their_own(
    world: TenantWorld,
) -> None:
    table = f"{ORG_API}/connectionreferences"
    row = f"{table}(d0000000-0000-4000-8000-000000000001)"
    body = {
        "connectionreferencelogicalname": "cr1_mine",
        "connectorid": "/providers/Microsoft.PowerApps/apis/shared_office365",
        "connectionid": "office-maker",
    }
    others = next(iter(world.environment.get_table("connectionreferences")))

    as_app = await world.call("PATCH", row, body)
    added = await world.call("PATCH", row, body, headers=AS_MAKER)
    renamed = await world.call(
        "PATCH", row, {"connectionreferencedisplayname": "Mine"}, headers=AS_MAKER
    )
    foreign = await world.call(
        "PATCH", f"{table}({others})", {"connectionid": "office-maker"}, headers=AS_MAKER
    )

    assert as_app.status == 400
    assert parse_inner_error(as_app)["code"] == "ConnectionAuthorizationFailed"
    assert (added.status, renamed.status, foreign.status) == (204, 204, 403)
