from local_cloud.tenant.entra.directory import Directory
from tests.local_cloud.tenant.dataverse_flow import (
    AS_MAKER,
    COPY,
    OFF,
    ON,
    WORKFLOWS,
    build_workflow,
    create_flow,
    parse_inner_error,
    read_flow,
)
from tests.local_cloud.tenant.tenant_world import (
    ADMIN_FLOWS,
    APP,
    BUTTON,
    HTTP_FLOW,
    MAKER,
    TenantWorld,
    build_child_action,
    build_client_data,
    build_definition,
    build_references,
)


async def test_activation_checks_the_connections_of_the_activating_user(world: TenantWorld) -> None:
    """After the owner has turned on the flow, the app can do so, too."""
    data = build_client_data(build_definition(BUTTON), build_references("cr1_office"))
    await create_flow(world, build_workflow(data), AS_MAKER)

    by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    for_owner = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", OFF)
    again_by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    error = parse_inner_error(by_app)
    assert by_app.status == 400
    assert error["code"] == "ConnectionAuthorizationFailed"
    assert "office-maker" in error["message"]
    assert (for_owner.status, again_by_app.status) == (204, 204)


async def test_app_activates_with_a_shared_connection(world: TenantWorld) -> None:
    data = build_client_data(build_definition(BUTTON), build_references("cr1_officeshared"))
    await create_flow(world, build_workflow(data))

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert answer.status == 204
    assert (await read_flow(world))["statecode"] == 1


async def test_impersonation_may_not_reach_the_flow_service(world: TenantWorld) -> None:
    """If the flow service ignores impersonation, it checks the app's own connections."""
    await world.control("PUT", "/assumptions", {"impersonation_reaches_flow_service": False})
    data = build_client_data(build_definition(BUTTON), build_references("cr1_office"))
    await create_flow(world, build_workflow(data), AS_MAKER)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)

    assert APP in parse_inner_error(answer)["message"]


async def test_a_reference_without_a_connection_cannot_be_activated(world: TenantWorld) -> None:
    await create_flow(
        world,
        build_workflow(
            build_client_data(build_definition(BUTTON), build_references("cr1_missing"))
        ),
    )

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert parse_inner_error(answer)["code"] == "XrmConnectionReferenceMissingConnection"


async def test_premium_flow_needs_the_licence_of_its_owner(world: TenantWorld) -> None:
    """Dataverse's error contains the flow service's error as text."""
    world.tenant.get_part(Directory).principals[MAKER].has_premium = False
    await create_flow(world, build_workflow(), AS_MAKER)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert parse_inner_error(answer)["code"] == "MissingAdequateQuotaPolicy"


async def test_a_parent_is_activated_after_its_child(world: TenantWorld) -> None:
    await create_flow(
        world,
        build_workflow(build_client_data(build_definition(BUTTON, build_child_action(HTTP_FLOW)))),
    )
    await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", OFF)

    too_early = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", ON)
    in_order = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert parse_inner_error(too_early)["code"] == "ChildFlowNeverPublished"
    assert in_order.status == 204


async def test_parent_can_be_activated_if_its_child_was_published_and_is_off(
    world: TenantWorld,
) -> None:
    """See platform.md#child-flows-first."""
    await world.control("PUT", "/assumptions", {"children_must_be_on": False})
    await create_flow(
        world,
        build_workflow(build_client_data(build_definition(BUTTON, build_child_action(HTTP_FLOW)))),
    )
    await world.call("PATCH", f"{WORKFLOWS}({HTTP_FLOW})", OFF)

    published = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", OFF)
    world.environment.workflows[HTTP_FLOW].was_on = False
    never = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert published.status == 204
    assert parse_inner_error(never)["code"] == "ChildFlowNeverPublished"


async def test_application_may_not_be_permitted_to_activate(world: TenantWorld) -> None:
    """See platform.md#application-activators."""
    await world.control("PUT", "/assumptions", {"applications_activate": False})
    await create_flow(world, build_workflow(), AS_MAKER)

    by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    for_owner = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)

    assert parse_inner_error(by_app)["code"] == "MissingUserDetails"
    assert for_owner.status == 204


async def test_a_flow_of_a_solution_is_first_published_in_dataverse(world: TenantWorld) -> None:
    """See platform.md#unpublished-flows."""
    await create_flow(world, build_workflow())
    start = f"{ADMIN_FLOWS}/flows/{COPY}/start"

    unpublished = await world.call("POST", start, {})
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", OFF)
    published = await world.call("POST", start, {})

    assert (unpublished.status, unpublished.code) == (400, "CannotStartUnpublishedSolutionFlow")
    assert published.status == 200


async def test_activation_may_rename_the_flow(world: TenantWorld) -> None:
    await world.control("PUT", "/assumptions", {"activation_changes_flow_name": True})
    await create_flow(world, build_workflow())
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    query = {"include": "includeSolutionCloudFlows"}
    flows = await world.read_all_pages(f"{ADMIN_FLOWS}/v2/flows", query=query)

    [found] = [each for each in flows if each["properties"].get("workflowEntityId") == COPY]
    assert found["name"] != COPY
    assert found["properties"]["state"] == "Started"
