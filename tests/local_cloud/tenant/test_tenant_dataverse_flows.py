from tests.local_cloud.tenant.dataverse_flow import (
    AS_MAKER,
    COPY,
    ON,
    WORKFLOWS,
    build_workflow,
    create_flow,
    parse_inner_error,
    read_flow,
)
from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    ADMIN_FLOWS,
    BUTTON,
    HTTP_FLOW,
    MAKER,
    ORG_API,
    TenantWorld,
    build_client_data,
    build_definition,
    build_references,
)


async def test_a_copy_is_created_once_under_a_chosen_id(world: TenantWorld) -> None:
    """With `If-None-Match: *`, a repeated create is rejected (412)."""
    first = await create_flow(world, build_workflow())
    second = await create_flow(world, build_workflow())

    row = await read_flow(world)
    assert (first.status, second.status) == (204, 412)
    assert first.headers["OData-EntityId"].endswith(f"workflows({COPY})")
    assert (row["statecode"], row["statuscode"]) == (0, 1)


async def test_late_update_does_not_recreate_a_deleted_row(world: TenantWorld) -> None:
    """With `If-Match: *`, an update of a missing row is rejected (404)."""
    await create_flow(world, build_workflow())
    await world.call("DELETE", f"{WORKFLOWS}({COPY})")

    answer = await world.call(
        "PATCH", f"{WORKFLOWS}({COPY})", {"name": "late"}, headers={"If-Match": "*"}
    )

    assert answer.status == 404
    assert "Does Not Exist" in answer.body["error"]["message"]


async def test_an_update_with_an_old_etag_is_rejected(world: TenantWorld) -> None:
    etag = (await read_flow(world, HTTP_FLOW))["@odata.etag"]
    url, headers = f"{WORKFLOWS}({HTTP_FLOW})", {"If-Match": etag}

    first = await world.call("PATCH", url, {"name": "one"}, headers=headers)
    second = await world.call("PATCH", url, {"name": "two"}, headers=headers)

    assert [first.status, second.status] == [204, 412]
    assert (await read_flow(world, HTTP_FLOW))["name"] == "one"


async def test_a_copy_made_for_the_owner_belongs_to_the_owner(world: TenantWorld) -> None:
    await create_flow(world, build_workflow(), AS_MAKER)

    row = await read_flow(world)
    original = await read_flow(world, HTTP_FLOW)
    assert row["_ownerid_value"] == original["_ownerid_value"]
    assert row["_createdby_value"] == original["_ownerid_value"]
    assert row["_createdonbehalfby_value"] not in (None, row["_ownerid_value"])


async def test_impersonation_needs_its_privilege(world: TenantWorld) -> None:
    answer = await world.call("GET", WORKFLOWS, who=MAKER, headers={"CallerObjectId": ADMIN})

    assert (answer.status, answer.code) == (403, "0x80040220")


async def test_request_on_behalf_of_a_disabled_user_is_rejected(world: TenantWorld) -> None:
    """No copy can be created for a user who has left."""
    world.environment.users[MAKER]["isdisabled"] = True
    headers = {"CallerObjectId": MAKER}

    answer = await world.call("POST", f"{ORG_API}/workflows", build_workflow(), headers=headers)

    assert (answer.status, answer.code) == (403, "0x80040225")


async def test_an_owner_can_be_assigned(world: TenantWorld) -> None:
    owner = (await read_flow(world, HTTP_FLOW))["_ownerid_value"]
    await create_flow(world, build_workflow())

    await world.call(
        "PATCH", f"{WORKFLOWS}({COPY})", {"ownerid@odata.bind": f"systemusers({owner})"}
    )

    assert (await read_flow(world))["_ownerid_value"] == owner


async def test_invalid_definition_is_not_saved(world: TenantWorld) -> None:
    before = (await read_flow(world, HTTP_FLOW))["clientdata"]

    answer = await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", {"clientdata": "{}"})

    assert parse_inner_error(answer)["code"] == "InvalidTemplate"
    assert (await read_flow(world, HTTP_FLOW))["clientdata"] == before


async def test_rejected_request_changes_nothing(world: TenantWorld) -> None:
    """A request is a transaction: if it cannot turn on a flow, it does not rename it either."""
    data = build_client_data(build_definition(BUTTON), build_references("cr1_missing"))
    await create_flow(world, build_workflow())
    before = await read_flow(world)

    changed = await world.call(
        "PATCH", f"{WORKFLOWS}({COPY})", {"name": "other", "clientdata": data, **ON}
    )
    after = await read_flow(world)
    await world.call("DELETE", f"{WORKFLOWS}({COPY})")
    created = await create_flow(world, build_workflow(data, **ON))
    missing = await world.call("GET", f"{WORKFLOWS}({COPY})")

    assert (changed.status, created.status, missing.status) == (400, 400, 404)
    assert after == before


async def test_an_unknown_column_is_rejected(world: TenantWorld) -> None:
    """A misspelled column must not be ignored."""
    answer = await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", {"nmae": "x"})

    assert answer.status == 400


async def test_copy_is_added_to_the_solution_of_its_header(world: TenantWorld) -> None:
    await create_flow(world, build_workflow(), {"MSCRM.SolutionUniqueName": "Orders"})
    body = {
        "ComponentId": COPY,
        "ComponentType": 29,
        "SolutionUniqueName": "Orders",
        "AddRequiredComponents": False,
    }
    added = await world.call("POST", f"{ORG_API}/AddSolutionComponent", body)

    components = await world.read_all_pages(
        f"{ORG_API}/solutioncomponents", query={"$filter": f"objectid eq {COPY}"}
    )

    assert added.status == 200
    assert len(components) == 1


async def test_rights_on_a_flow_are_granted_listed_and_revoked(world: TenantWorld) -> None:
    """The flow service shows a share in Dataverse as co-ownership."""
    users = await world.read_all_pages(
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
