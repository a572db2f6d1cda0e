"""Flows that are turned on in the local tenant's Dataverse, over the wire."""

from collections.abc import AsyncIterator

import pytest

from local_cloud.tenant.entra.directory import Directory
from tests.local_cloud.tenant.dataverse_flow import (
    AS_MAKER,
    COPY,
    OFF,
    ON,
    WORKFLOWS,
    build_workflow,
    create,
    parse_inner_error,
    read,
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
    serve_tenant_world,
)


@pytest.fixture
async def world() -> AsyncIterator[TenantWorld]:
    """A tenant on the wire."""
    async with serve_tenant_world() as served:
        yield served


async def test_activation_checks_the_connections_of_the_activating_user(world: TenantWorld) -> None:
    """The app cannot activate with the owner's connection; the owner, or the app for the owner,
    can.
    """
    data = build_client_data(build_definition(BUTTON), build_references("cr1_office"))
    await create(world, build_workflow(data), AS_MAKER)

    by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    for_owner = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", OFF)
    again_by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    error = parse_inner_error(by_app)
    assert by_app.status == 400
    assert error["code"] == "ConnectionAuthorizationFailed"
    assert "office-maker" in error["message"]
    assert (for_owner.status, again_by_app.status) == (204, 204)


async def test_a_connection_shared_with_the_app_will_do(world: TenantWorld) -> None:
    """After the owner shares the connection, the app can activate the flow."""
    data = build_client_data(build_definition(BUTTON), build_references("cr1_officeshared"))
    await create(world, build_workflow(data))

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert answer.status == 204
    assert (await read(world))["statecode"] == 1


async def test_impersonation_may_not_reach_the_flow_service(world: TenantWorld) -> None:
    """If the flow service does not see the impersonation, the app itself activates the flow."""
    await world.control("PUT", "/assumptions", {"impersonation_reaches_flow_service": False})
    data = build_client_data(build_definition(BUTTON), build_references("cr1_office"))
    await create(world, build_workflow(data), AS_MAKER)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)

    assert APP in parse_inner_error(answer)["message"]


async def test_a_reference_without_a_connection_cannot_be_activated(world: TenantWorld) -> None:
    """A missing or unbound connection reference is an error."""
    await create(
        world,
        build_workflow(
            build_client_data(build_definition(BUTTON), build_references("cr1_missing"))
        ),
    )

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert parse_inner_error(answer)["code"] == "XrmConnectionReferenceMissingConnection"


async def test_premium_flow_needs_the_licence_of_its_owner(world: TenantWorld) -> None:
    """Dataverse wraps the error of the flow service."""
    world.tenant.get_part(Directory).principals[MAKER].has_premium = False
    await create(world, build_workflow(), AS_MAKER)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    assert parse_inner_error(answer)["code"] == "MissingAdequateQuotaPolicy"


async def test_a_parent_is_activated_after_its_child(world: TenantWorld) -> None:
    """A parent cannot be activated while its child is off."""
    await create(
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
    """The child must have been on once; if it never was, the parent cannot be activated.

    See platform.md#child-flows-first.
    """
    await world.control("PUT", "/assumptions", {"children_must_be_on": False})
    await create(
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


async def test_an_application_may_be_no_activator(world: TenantWorld) -> None:
    """The licence check accepts only a person, so the app activates the flow for its owner.

    See platform.md#application-activators.
    """
    await world.control("PUT", "/assumptions", {"applications_activate": False})
    await create(world, build_workflow(), AS_MAKER)

    by_app = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    for_owner = await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON, headers=AS_MAKER)

    assert parse_inner_error(by_app)["code"] == "MissingUserDetails"
    assert for_owner.status == 204


async def test_a_flow_of_a_solution_is_first_published_in_dataverse(world: TenantWorld) -> None:
    """The flow service does not start a flow that was never on; later it does.

    See platform.md#unpublished-flows.
    """
    await create(world, build_workflow())
    start = f"{ADMIN_FLOWS}/flows/{COPY}/start"

    unpublished = await world.call("POST", start, {})
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", OFF)
    published = await world.call("POST", start, {})

    assert (unpublished.status, unpublished.code) == (400, "CannotStartUnpublishedSolutionFlow")
    assert published.status == 200


async def test_activation_may_rename_the_flow(world: TenantWorld) -> None:
    """The flow service finds the flow by its Dataverse id."""
    await world.control("PUT", "/assumptions", {"activation_changes_flow_name": True})
    await create(world, build_workflow())
    await world.call("PATCH", f"{WORKFLOWS}({COPY})", ON)

    query = {"include": "includeSolutionCloudFlows"}
    flows = await world.read_all_pages(f"{ADMIN_FLOWS}/v2/flows", query=query)

    [found] = [each for each in flows if each["properties"].get("workflowEntityId") == COPY]
    assert found["name"] != COPY
    assert found["properties"]["state"] == "Started"
