"""Test rejected saves of definitions, and what they damage.

See platform.md#connector-shapes, #rejected-saves.
"""

from typing import Any

from tests.local_cloud.tenant.dataverse_flow import (
    COPY,
    WORKFLOWS,
    build_workflow,
    create_flow,
    parse_inner_error,
    read_flow,
)
from tests.local_cloud.tenant.tenant_world import (
    BUTTON,
    ENVIRONMENT,
    MAKER,
    MAKER_FLOWS,
    TenantWorld,
    build_client_data,
    build_definition,
    build_references,
)

OFFICE = "shared_office365"
ENTRY = {"connectionName": "office-maker", "source": "Embedded", "id": f"/apis/{OFFICE}"}


def build_mail_definition(**host: str) -> dict[str, Any]:
    inputs = {"host": {"operationId": "SendEmailV2", **host}}
    nested = {"Send": {"type": "OpenApiConnection", "inputs": inputs, "runAfter": {}}}
    return build_definition(BUTTON, {"Each": {"type": "Scope", "actions": nested, "runAfter": {}}})


NEWER = build_mail_definition(connectionReferenceName=OFFICE)
OLDER = build_mail_definition(connectionName=OFFICE)


def build_save_body(content: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {"definition": content, "connectionReferences": {OFFICE: ENTRY}}}


async def create_flow_outside_solutions(world: TenantWorld) -> Any:
    properties = {"displayName": "Mine", "state": "Started", "environment": {"name": ENVIRONMENT}}
    body = {"properties": properties | build_save_body(NEWER)["properties"]}
    answer = await world.call("POST", f"{MAKER_FLOWS}/flows", body, who=MAKER)
    assert answer.status == 201, answer.body
    return answer.body


async def test_the_flow_service_rejects_older_shapes_of_a_solutions_flow(
    world: TenantWorld,
) -> None:
    """A flow in a solution must have the newer format, because it is saved in Dataverse."""
    await create_flow(
        world, build_workflow(build_client_data(NEWER, build_references("cr1_office")))
    )
    world.environment.workflows[COPY].owner = MAKER

    answer = await world.call(
        "PATCH", f"{MAKER_FLOWS}/flows/{COPY}", build_save_body(OLDER), who=MAKER
    )

    assert (answer.status, answer.code) == (400, "WorkflowRunActionInputsMissingProperty")


async def test_the_flow_service_may_demand_the_newer_shape_of_any_flow(world: TenantWorld) -> None:
    name = (await create_flow_outside_solutions(world))["name"]
    url = f"{MAKER_FLOWS}/flows/{name}"

    taken = await world.call("PATCH", url, build_save_body(OLDER), who=MAKER)
    await world.control("PUT", "/assumptions", {"older_host_shapes_refused": True})
    refused = await world.call("PATCH", url, build_save_body(OLDER), who=MAKER)

    assert (taken.status, refused.status) == (200, 400)
    assert refused.code == "WorkflowRunActionInputsMissingProperty"


async def test_save_rejected_by_the_flow_service_may_empty_the_references(
    world: TenantWorld,
) -> None:
    changes = {"older_host_shapes_refused": True, "refused_saves_wipe_references": True}
    await world.control("PUT", "/assumptions", changes)
    url = f"{MAKER_FLOWS}/flows/{(await create_flow_outside_solutions(world))['name']}"
    before = (await world.call("GET", url, who=MAKER)).body["properties"]

    refused = await world.call("PATCH", url, build_save_body(OLDER), who=MAKER)

    after = (await world.call("GET", url, who=MAKER)).body["properties"]
    flow = await world.control("GET", url.replace(MAKER_FLOWS, f"/environments/{ENVIRONMENT}"))
    assert refused.status == 400
    assert set(before["connectionReferences"]) == {OFFICE}
    assert after["connectionReferences"] == {}
    assert after["lastModifiedTime"] == before["lastModifiedTime"]
    assert flow["referencesWiped"] == 1


async def test_emptied_references_change_neither_time_nor_etag(world: TenantWorld) -> None:
    """A condition on the ETag therefore does not detect the damage."""
    await world.control("PUT", "/assumptions", {"refused_saves_wipe_references": True})
    await create_flow(
        world, build_workflow(build_client_data(NEWER, build_references("cr1_office")))
    )
    before = await read_flow(world)

    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", {"clientdata": "{}"})

    after = await read_flow(world)
    assert parse_inner_error(answer)["code"] == "InvalidTemplate"
    assert {name for name in before if before[name] != after[name]} == {"clientdata"}


async def test_rejected_write_during_migration_damages_nothing(world: TenantWorld) -> None:
    await world.control("PUT", "/assumptions", {"refused_saves_wipe_references": True})
    await create_flow(
        world, build_workflow(build_client_data(NEWER, build_references("cr1_office")))
    )
    await world.link()

    body = {"clientdata": build_client_data(NEWER)}
    answer = await world.call("PATCH", f"{WORKFLOWS}({COPY})", body)

    assert answer.status == 409
    assert (await read_flow(world))["clientdata"] == build_client_data(
        NEWER, build_references("cr1_office")
    )


async def test_created_flow_may_contain_an_added_reference(world: TenantWorld) -> None:
    """If the platform has added an unknown reference, it rejects each later save of the flow."""
    await world.control("PUT", "/assumptions", {"creates_stamp_references": True})
    made = await create_flow_outside_solutions(world)
    url = f"{MAKER_FLOWS}/flows/{made['name']}"

    refused = [
        await world.call("PATCH", url, build_save_body(content), who=MAKER)
        for content in (NEWER, build_definition(BUTTON))
    ]

    stamp = made["properties"]["connectionReferences"][OFFICE]["connectionReferenceLogicalName"]
    assert stamp in ("cr1_office", "cr1_officeshared")
    assert [one.code for one in refused] == ["WorkflowRunActionInputsInvalidProperty"] * 2
    assert all(f"'{stamp}' could not be found" in str(one.body) for one in refused)
