"""The local tenant's Dataverse, over the wire."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from local_cloud.tenant.directory import Directory
from tests.contract.tenant_world import (
    ADMIN,
    ADMIN_FLOWS,
    APP,
    BUTTON,
    BUTTON_FLOW,
    CALLING_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    ORG_API,
    PARENT_FLOW,
    Answer,
    TenantWorld,
    bound,
    child_action,
    client_data,
    definition,
    tenant_world,
)

COPY = "c0000000-0000-4000-8000-000000000001"
WORKFLOWS = f"{ORG_API}/workflows"
ON = {"statecode": 1, "statuscode": 2}
OFF = {"statecode": 0, "statuscode": 1}
AS_MAKER = {"CallerObjectId": MAKER}


@pytest.fixture
async def world() -> AsyncIterator[TenantWorld]:
    """A tenant on the wire."""
    async with tenant_world() as served:
        yield served


def new_workflow(data: str | None = None, **more: Any) -> dict[str, Any]:
    """The body that creates a flow."""
    return {
        "category": 5,
        "type": 1,
        "primaryentity": "none",
        "name": "Copy",
        "clientdata": data or client_data(definition(HTTP)),
        **more,
    }


async def create(
    world: TenantWorld, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Answer:
    """Create the copy under its id, once."""
    sent = {"If-None-Match": "*", **(headers or {})}
    return await world.call("PATCH", f"{WORKFLOWS}({COPY})", body, headers=sent)


async def read(world: TenantWorld, workflow_id: str = COPY) -> dict[str, Any]:
    """A flow's row."""
    answer = await world.call("GET", f"{WORKFLOWS}({workflow_id})")
    assert answer.status == 200, answer.body
    row: dict[str, Any] = answer.body
    return row


def inner_error(answer: Answer) -> dict[str, Any]:
    """The flow service's error inside Dataverse's."""
    assert answer.code == "0x80060467"
    message: str = answer.body["error"]["message"]
    wrapped = json.loads(message[message.index('details "') + 9 : message.rindex('"')])
    error: dict[str, Any] = wrapped["error"]
    return error


async def test_flows_are_read_in_pages_with_their_definitions(world: TenantWorld) -> None:
    """`odata.maxpagesize` sets the page; the next link leads on, whatever is filtered out."""
    query = {
        "$filter": "category eq 5 and type eq 1",
        "$select": "workflowid,name,statecode,clientdata,_ownerid_value",
    }
    headers = {"Prefer": "odata.maxpagesize=4"}

    first = await world.call("GET", WORKFLOWS, query=query, headers=headers)
    rows = await world.pages(WORKFLOWS, query=query, headers=headers)

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
    """The filters that clients use."""
    rows = await world.pages(WORKFLOWS, query={"$filter": expression, "$select": "name"})

    assert {row["name"] for row in rows} == names


async def test_a_filter_that_is_not_understood_is_refused(world: TenantWorld) -> None:
    """Nothing is ignored in silence."""
    answer = await world.call("GET", WORKFLOWS, query={"$filter": "name like 'x'"})

    assert answer.status == 400


async def test_a_copy_is_created_once_under_a_chosen_id(world: TenantWorld) -> None:
    """`If-None-Match: *` makes the create repeatable: the second one is a 412."""
    first = await create(world, new_workflow())
    second = await create(world, new_workflow())

    row = await read(world)
    assert (first.status, second.status) == (204, 412)
    assert first.headers["OData-EntityId"].endswith(f"workflows({COPY})")
    assert (row["statecode"], row["statuscode"]) == (0, 1)


async def test_a_late_update_does_not_bring_a_deleted_row_back(world: TenantWorld) -> None:
    """`If-Match: *` on a missing row is a 404."""
    await create(world, new_workflow())
    await world.call("DELETE", f"{WORKFLOWS}({COPY})")

    answer = await world.call(
        "PATCH", f"{WORKFLOWS}({COPY})", {"name": "late"}, headers={"If-Match": "*"}
    )

    assert answer.status == 404
    assert "Does Not Exist" in answer.body["error"]["message"]


async def test_an_update_with_an_old_etag_is_refused(world: TenantWorld) -> None:
    """The version must be the one that was read."""
    etag = (await read(world, HTTP_FLOW))["@odata.etag"]
    url, headers = f"{WORKFLOWS}({HTTP_FLOW})", {"If-Match": etag}

    first = await world.call("PATCH", url, {"name": "one"}, headers=headers)
    second = await world.call("PATCH", url, {"name": "two"}, headers=headers)

    assert [first.status, second.status] == [204, 412]
    assert (await read(world, HTTP_FLOW))["name"] == "one"


async def test_a_copy_made_for_the_owner_belongs_to_the_owner(world: TenantWorld) -> None:
    """Impersonation: created and owned by the owner, on whose behalf the app acted."""
    await create(world, new_workflow(), AS_MAKER)

    row = await read(world)
    original = await read(world, HTTP_FLOW)
    assert row["_ownerid_value"] == original["_ownerid_value"]
    assert row["_createdby_value"] == original["_ownerid_value"]
    assert row["_createdonbehalfby_value"] not in (None, row["_ownerid_value"])


async def test_impersonation_needs_its_privilege(world: TenantWorld) -> None:
    """Without prvActOnBehalfOfAnotherUser it is refused."""
    answer = await world.call("GET", WORKFLOWS, who=MAKER, headers={"CallerObjectId": ADMIN})

    assert (answer.status, answer.code) == (403, "0x80040220")


async def test_nobody_acts_for_a_user_that_is_disabled(world: TenantWorld) -> None:
    """The copy of a leaver's flow is not created."""
    world.environment.users[MAKER]["isdisabled"] = True
    headers = {"CallerObjectId": MAKER}

    answer = await world.call("POST", f"{ORG_API}/workflows", new_workflow(), headers=headers)

    assert (answer.status, answer.code) == (403, "0x80040225")


async def test_an_owner_can_be_assigned(world: TenantWorld) -> None:
    """`ownerid@odata.bind` names a user row."""
    owner = (await read(world, HTTP_FLOW))["_ownerid_value"]
    await create(world, new_workflow())

    await world.call(
        "PATCH", f"{WORKFLOWS}({COPY})", {"ownerid@odata.bind": f"systemusers({owner})"}
    )

    assert (await read(world))["_ownerid_value"] == owner


async def test_activation_checks_the_connections_of_whoever_activates(world: TenantWorld) -> None:
    """Not the app with the owner's connection; the owner, or the app acting for the owner."""
    data = client_data(definition(BUTTON), bound("cr1_office"))
    await create(world, new_workflow(data), AS_MAKER)

    by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    for_owner = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", OFF)
    again_by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    error = inner_error(by_app)
    assert by_app.status == 400
    assert error["code"] == "ConnectionAuthorizationFailed"
    assert "office-maker" in error["message"]
    assert (for_owner.status, again_by_app.status) == (204, 204)


async def test_a_connection_shared_with_the_app_will_do(world: TenantWorld) -> None:
    """The owner shares it, and the app activates."""
    data = client_data(definition(BUTTON), bound("cr1_officeshared"))
    await create(world, new_workflow(data))

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert answer.status == 204
    assert (await read(world))["statecode"] == 1


async def test_impersonation_may_not_reach_the_flow_service(world: TenantWorld) -> None:
    """Where it does not, the app itself is who activates."""
    await world.control("PUT", "/assumptions", {"impersonation_reaches_flow_service": False})
    data = client_data(definition(BUTTON), bound("cr1_office"))
    await create(world, new_workflow(data), AS_MAKER)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)

    assert APP in inner_error(answer)["message"]


async def test_a_reference_without_a_connection_cannot_be_activated(world: TenantWorld) -> None:
    """An unbound or missing connection reference is a refusal."""
    await create(world, new_workflow(client_data(definition(BUTTON), bound("cr1_missing"))))

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert inner_error(answer)["code"] == "XrmConnectionReferenceMissingConnection"


async def test_a_premium_flow_needs_its_owners_licence(world: TenantWorld) -> None:
    """The refusal of the flow service arrives wrapped."""
    world.tenant.part(Directory).principals[MAKER].has_premium = False
    await create(world, new_workflow(), AS_MAKER)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert inner_error(answer)["code"] == "MissingAdequateQuotaPolicy"


async def test_a_parent_is_activated_after_its_child(world: TenantWorld) -> None:
    """A child that is off keeps its parent off."""
    await create(world, new_workflow(client_data(definition(BUTTON, child_action(HTTP_FLOW)))))
    await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", OFF)

    too_early = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", ON)
    in_order = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert inner_error(too_early)["code"] == "ChildFlowNeverPublished"
    assert in_order.status == 204


async def test_activation_may_rename_the_flow(world: TenantWorld) -> None:
    """It is found again in the flow service by its Dataverse id."""
    await world.control("PUT", "/assumptions", {"activation_changes_flow_name": True})
    await create(world, new_workflow())
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    flows = await world.pages(f"{ADMIN_FLOWS}/v2/flows")

    [found] = [each for each in flows if each["properties"].get("workflowEntityId") == COPY]
    assert found["name"] != COPY
    assert found["properties"]["state"] == "Started"


async def test_a_definition_that_is_none_is_not_saved(world: TenantWorld) -> None:
    """The old one stays."""
    before = (await read(world, HTTP_FLOW))["clientdata"]

    answer = await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", {"clientdata": "{}"})

    assert inner_error(answer)["code"] == "InvalidTemplate"
    assert (await read(world, HTTP_FLOW))["clientdata"] == before


async def test_a_refused_call_changes_nothing(world: TenantWorld) -> None:
    """A call is a transaction: the new name does not stay when the activation is refused."""
    data = client_data(definition(BUTTON), bound("cr1_missing"))
    await create(world, new_workflow())
    before = await read(world)

    changed = await world.call(
        "PATCH", f"{WORKFLOWS}({COPY})", {"name": "other", "clientdata": data, **ON}
    )
    after = await read(world)
    await world.call("DELETE", f"{WORKFLOWS}({COPY})")
    created = await create(world, new_workflow(data, **ON))
    missing = await world.call("GET", f"{WORKFLOWS}({COPY})")

    assert (changed.status, created.status, missing.status) == (400, 400, 404)
    assert after == before


async def test_an_unknown_column_is_refused(world: TenantWorld) -> None:
    """A slip in a name is no silent success."""
    answer = await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", {"nmae": "x"})

    assert answer.status == 400


async def test_a_copy_joins_the_solution_of_its_header(world: TenantWorld) -> None:
    """`MSCRM.SolutionUniqueName` on create, AddSolutionComponent afterwards; both repeatable."""
    await create(world, new_workflow(), {"MSCRM.SolutionUniqueName": "Orders"})
    body = {
        "ComponentId": COPY,
        "ComponentType": 29,
        "SolutionUniqueName": "Orders",
        "AddRequiredComponents": False,
    }
    added = await world.call("POST", f"{ORG_API}/AddSolutionComponent", body)

    components = await world.pages(
        f"{ORG_API}/solutioncomponents", query={"$filter": f"objectid eq {COPY}"}
    )

    assert added.status == 200
    assert len(components) == 1


async def test_rights_on_a_flow_are_granted_listed_and_revoked(world: TenantWorld) -> None:
    """Sharing as Dataverse does it shows as co-ownership in the flow service."""
    users = await world.pages(
        f"{ORG_API}/systemusers", query={"$filter": f"azureactivedirectoryobjectid eq {ADMIN}"}
    )
    user = {
        "systemuserid": users[0]["systemuserid"],
        "@odata.type": "Microsoft.Dynamics.CRM.systemuser",
    }
    target = {"workflowid": HTTP_FLOW, "@odata.type": "Microsoft.Dynamics.CRM.workflow"}
    grant = {
        "Target": target,
        "PrincipalAccess": {"Principal": user, "AccessMask": "ReadAccess,WriteAccess"},
    }
    listing = f"{ORG_API}/RetrieveSharedPrincipalsAndAccess(Target=@t)"
    query = {"@t": f"{{'@odata.id':'workflows({HTTP_FLOW})'}}"}

    await world.call("POST", f"{ORG_API}/GrantAccess", grant)
    granted = await world.call("GET", listing, query=query)
    permissions = await world.call("GET", f"{ADMIN_FLOWS}/flows/{HTTP_FLOW}/permissions")
    await world.call("POST", f"{ORG_API}/RevokeAccess", {"Target": target, "Revokee": user})
    revoked = await world.call("GET", listing, query=query)

    principal = granted.body["PrincipalAccesses"][0]["Principal"]
    assert principal["ownerid"] == user["systemuserid"]
    assert {each["name"] for each in permissions.body["value"]} == {MAKER, ADMIN}
    assert revoked.body["PrincipalAccesses"] == []


async def test_environment_variables_are_read_with_their_definitions(world: TenantWorld) -> None:
    """`$expand` brings the definition; a change is a PATCH of the value."""
    url = f"{ORG_API}/environmentvariablevalues"
    expand = "EnvironmentVariableDefinitionId($select=schemaname,defaultvalue,type)"
    query = {"$select": "environmentvariablevalueid,value,schemaname", "$expand": expand}

    [row] = await world.pages(url, query=query)
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


async def test_a_flow_keeps_a_variables_value_until_it_is_saved(world: TenantWorld) -> None:
    """After a change of the value the flow still calls the old URL; a save reads it anew."""
    url = f"{ORG_API}/environmentvariablevalues"
    [row] = await world.pages(url)
    await world.call(
        "PATCH", f"{url}({row['environmentvariablevalueid']})", {"value": "https://new.example/"}
    )
    path = f"/environments/{ENVIRONMENT}/flows/{CALLING_FLOW}"

    stale = await world.control("GET", path)
    saved = (await read(world, CALLING_FLOW))["clientdata"]
    await world.call("PATCH", f"{WORKFLOWS}({CALLING_FLOW})", {"clientdata": saved})
    fresh = await world.control("GET", path)

    parameter = "Orders URL (cr1_ordersurl)"
    assert stale["savedVariables"][parameter] == await world.url_of(HTTP_FLOW)
    assert fresh["savedVariables"][parameter] == "https://new.example/"


async def test_webhooks_are_read_and_changed(world: TenantWorld) -> None:
    """A service endpoint of contract 8 holds a URL."""
    url = f"{ORG_API}/serviceendpoints"

    [row] = await world.pages(url, query={"$filter": "contract eq 8"})
    await world.call("PATCH", f"{url}({row['serviceendpointid']})", {"url": "https://new.example"})
    after = await world.call("GET", f"{url}({row['serviceendpointid']})")

    assert row["url"] == await world.url_of(HTTP_FLOW)
    assert after.body["url"] == "https://new.example"


async def test_a_maker_sees_own_flows_only_and_strangers_none(world: TenantWorld) -> None:
    """Rights on rows hold for lists, reads and writes."""
    mine = await world.pages(WORKFLOWS, who=MAKER)
    none = await world.pages(WORKFLOWS, who="b0000000-0000-4000-8000-000000000003")
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
    """One assumption decides."""
    with_rows = {row["workflowid"] for row in await world.pages(WORKFLOWS)}
    await world.control("PUT", "/assumptions", {"my_flows_have_rows": False})
    without = {row["workflowid"] for row in await world.pages(WORKFLOWS)}

    assert with_rows - without == {BUTTON_FLOW}


async def test_a_table_says_whether_its_rows_have_etags(world: TenantWorld) -> None:
    """The definition of a table, as far as a client asks."""
    url = f"{ORG_API}/EntityDefinitions(LogicalName='workflow')"

    answer = await world.call("GET", url)

    assert answer.body["IsOptimisticConcurrencyEnabled"] is True


async def test_dataverse_throttles_in_its_own_words(world: TenantWorld) -> None:
    """429 with its own code and Retry-After."""
    await world.control("PUT", "/budgets", {"dataverse": {"calls": 1, "seconds": 300}})

    await world.call("GET", WORKFLOWS)
    answer = await world.call("GET", WORKFLOWS)

    assert (answer.status, answer.code) == (429, "0x80072322")
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_member_may_add_connection_references_and_change_their_own(
    world: TenantWorld,
) -> None:
    """Rows of others stay theirs; a connection is named only by who may use it."""
    table = f"{ORG_API}/connectionreferences"
    row = f"{table}(d0000000-0000-4000-8000-000000000001)"
    body = {
        "connectionreferencelogicalname": "cr1_mine",
        "connectorid": "/providers/Microsoft.PowerApps/apis/shared_office365",
        "connectionid": "office-maker",
    }
    others = next(iter(world.environment.table("connectionreferences")))

    as_app = await world.call("PATCH", row, body)
    added = await world.call("PATCH", row, body, headers=AS_MAKER)
    renamed = await world.call(
        "PATCH", row, {"connectionreferencedisplayname": "Mine"}, headers=AS_MAKER
    )
    foreign = await world.call(
        "PATCH", f"{table}({others})", {"connectionid": "office-maker"}, headers=AS_MAKER
    )

    assert as_app.status == 400
    assert inner_error(as_app)["code"] == "ConnectionAuthorizationFailed"
    assert (added.status, renamed.status, foreign.status) == (204, 204, 403)
