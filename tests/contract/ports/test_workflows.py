from dataclasses import replace
from typing import Any

import pytest

from shared.domain.flow import FlowState, WorkflowDraft, WorkflowUpdate
from shared.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    PlatformError,
    PlatformMigrationInProgress,
)
from tests.contract.ports.described_tenant import STRANGER
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import (
    BUTTON_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    OTHER_REGION,
    UNLICENSED,
    build_client_data,
    build_definition,
    build_references,
)

COPY = "c0000000-0000-4000-8000-0000000000c0"
TURN_ON = WorkflowUpdate(state=FlowState.ON)


def build_draft(side: Side, **more: Any) -> WorkflowDraft:
    return replace(build_draft_for(side.hands.find_user_id(MAKER)), **more)


def build_draft_for(owner_id: str) -> WorkflowDraft:
    return WorkflowDraft(
        workflow_id=COPY,
        name="Receive order (CMK)",
        description="copy",
        client_data=build_client_data(build_definition(HTTP)),
        owner_id=owner_id,
    )


async def test_every_cloud_flow_is_listed_with_its_definition(side: Side) -> None:
    environment = await side.read_environment()

    rows = {row.workflow_id: row async for row in side.ports.workflows.list(environment)}

    assert {HTTP_FLOW, BUTTON_FLOW} < set(rows)
    assert rows[HTTP_FLOW].client_data == build_client_data(build_definition(HTTP))
    assert rows[HTTP_FLOW].owner_id == side.hands.find_user_id(MAKER)
    assert rows[HTTP_FLOW].state is FlowState.ON
    assert rows[HTTP_FLOW] == await side.ports.workflows.get(environment, HTTP_FLOW)


async def test_list_can_be_limited_to_managed_flows(side: Side) -> None:
    side.hands.make_managed(HTTP_FLOW)
    environment = await side.read_environment()

    listed = side.ports.workflows.list(environment, managed_only=True)

    assert [(row.workflow_id, row.is_managed) async for row in listed] == [(HTTP_FLOW, True)]


async def test_copy_is_created_once_off_and_for_its_owner(side: Side) -> None:
    environment = await side.read_environment()

    await side.ports.workflows.create(environment, build_draft(side))
    with pytest.raises(AlreadyExists):
        await side.ports.workflows.create(environment, build_draft(side, name="again"))

    copy = await side.ports.workflows.get(environment, COPY)
    assert (copy.owner_id, copy.state, copy.name) == (
        side.hands.find_user_id(MAKER),
        FlowState.OFF,
        "Receive order (CMK)",
    )
    assert copy.client_data == build_draft(side).client_data
    assert copy.description == "copy"


async def test_owner_of_a_create_can_be_an_entra_id(side: Side) -> None:
    """For the owner of a flow outside solutions, the app knows no other id."""
    environment = await side.read_environment()
    by_entra_id = build_draft(side, owner_id=MAKER, owner_is_entra_id=True)

    await side.ports.workflows.create(environment, by_entra_id)

    copy = await side.ports.workflows.get(environment, COPY)
    assert copy.owner_id == side.hands.find_user_id(MAKER)


@pytest.mark.parametrize(("owner", "code"), [(UNLICENSED, "0x80040225"), (STRANGER, "0x80072560")])
async def test_create_for_a_disabled_or_unknown_user_is_rejected(
    side: Side, owner: str, code: str
) -> None:
    environment = await side.read_environment()

    with pytest.raises(PlatformError) as refused:
        await side.ports.workflows.create(
            environment, build_draft(side, owner_id=owner, owner_is_entra_id=True)
        )

    assert (refused.value.code, refused.value.status) == (code, 403)
    with pytest.raises(NotFound):
        await side.ports.workflows.get(environment, COPY)


async def test_impersonated_user_is_checked_before_the_row(side: Side) -> None:
    environment, workflows = await side.read_environment(), side.ports.workflows
    await workflows.create(environment, build_draft(side))
    for_a_stranger = build_draft(side, owner_id=STRANGER, owner_is_entra_id=True)
    disabled = WorkflowUpdate(name="x", on_behalf_of=side.hands.find_user_id(UNLICENSED))

    with pytest.raises(PlatformError, match="0x80072560"):
        await workflows.create(environment, for_a_stranger)
    with pytest.raises(PlatformError, match="0x80040225"):
        await workflows.update(environment, COPY, disabled, etag='W/"0"')
    with pytest.raises(PlatformError, match="0x80040225"):
        await workflows.update(environment, STRANGER, disabled, etag="*")


async def test_flow_keeps_the_id_of_an_owner_who_has_left(side: Side) -> None:
    environment, workflows = await side.read_environment(), side.ports.workflows
    before, owner = await workflows.get(environment, HTTP_FLOW), side.hands.find_user_id(MAKER)
    side.hands.remove_user(MAKER)

    assert await workflows.get(environment, HTTP_FLOW) == before
    assert before.owner_id == owner
    assert (await side.ports.flow_reports.get_flow(ENVIRONMENT, HTTP_FLOW)).owner_id == MAKER
    assert await side.ports.principals.read_user(environment, owner) is None
    with pytest.raises(PlatformError, match="0x80072560"):
        await workflows.create(environment, build_draft_for(owner))


async def test_update_needs_the_current_etag(side: Side) -> None:
    environment, update = await side.read_environment(), side.ports.workflows.update
    read = await side.ports.workflows.get(environment, HTTP_FLOW)
    await update(environment, HTTP_FLOW, WorkflowUpdate(name="Renamed"), etag=read.etag)

    with pytest.raises(Conflict):
        await update(environment, HTTP_FLOW, WorkflowUpdate(name="Late"), etag=read.etag)
    with pytest.raises(NotFound):
        await update(environment, COPY, WorkflowUpdate(name="x"), etag="*")

    assert (await side.ports.workflows.get(environment, HTTP_FLOW)).name == "Renamed"


async def test_copy_is_turned_on_on_behalf_of_its_owner(side: Side) -> None:
    environment, update = await side.read_environment(), side.ports.workflows.update
    text = build_client_data(build_definition(HTTP), build_references("cr1_office"))
    await side.ports.workflows.create(environment, build_draft(side, client_data=text))

    with pytest.raises(PlatformError) as caught:
        await update(environment, COPY, TURN_ON, etag="*")
    on = replace(TURN_ON, on_behalf_of=side.hands.find_user_id(MAKER))
    await update(environment, COPY, on, etag="*")

    assert caught.value.code == "ConnectionAuthorizationFailed"
    assert caught.value.status == 403
    assert (await side.ports.workflows.get(environment, COPY)).state is FlowState.ON


async def test_only_the_platform_suspends_a_flow(side: Side) -> None:
    suspended = WorkflowUpdate(state=FlowState.SUSPENDED)

    with pytest.raises(ValueError, match="only the platform can suspend"):
        await side.ports.workflows.update(
            await side.read_environment(), HTTP_FLOW, suspended, etag="*"
        )


async def test_row_is_deleted_only_with_its_current_etag(side: Side) -> None:
    environment, workflows = await side.read_environment(), side.ports.workflows
    row = await workflows.get(environment, HTTP_FLOW)

    with pytest.raises(Conflict):
        await workflows.delete(environment, HTTP_FLOW, etag='W/"0"')
    still = await workflows.get(environment, HTTP_FLOW)
    await workflows.delete(environment, HTTP_FLOW, etag=row.etag)
    await workflows.delete(environment, HTTP_FLOW, etag=row.etag)
    await workflows.delete(environment, HTTP_FLOW)

    assert still.etag == row.etag
    with pytest.raises(NotFound):
        await workflows.get(environment, HTTP_FLOW)


async def test_delete_of_a_managed_flow_is_rejected(side: Side) -> None:
    side.hands.make_managed(HTTP_FLOW)

    with pytest.raises(PlatformError):
        await side.ports.workflows.delete(await side.read_environment(), HTTP_FLOW)


async def test_writes_during_the_platform_migration_are_rejected(side: Side) -> None:
    await side.hands.link()
    environment, workflows = await side.read_environment(), side.ports.workflows

    with pytest.raises(PlatformMigrationInProgress):
        await workflows.create(environment, build_draft(side))
    with pytest.raises(PlatformMigrationInProgress):
        await workflows.update(environment, HTTP_FLOW, WorkflowUpdate(name="x"), etag="*")


async def test_list_of_an_environment_without_dataverse_is_rejected(side: Side) -> None:
    other = await side.ports.environments.get(OTHER_REGION)

    with pytest.raises(PlatformError, match="Dataverse"):
        _ = [row async for row in side.ports.workflows.list(other)]


async def test_too_long_flow_name_is_rejected(side: Side) -> None:
    """The column has room for 100 UTF-16 code units, which are fifty emoji
    (platform.md#long-names).
    """
    environment = await side.read_environment()
    workflows = side.ports.workflows

    for name in ("x" * 101, "😀" * 51):
        with pytest.raises(PlatformError) as refused:
            await workflows.create(environment, build_draft(side, name=name))
        assert refused.value.code == "0x80044331"
    await workflows.create(environment, build_draft(side, name="😀" * 50))
    with pytest.raises(PlatformError) as refused:
        await workflows.update(environment, COPY, WorkflowUpdate(name="x" * 101), etag="*")

    assert refused.value.code == "0x80044331"
    assert (await workflows.get(environment, COPY)).name == "😀" * 50


async def test_modern_flow_type_is_kept(side: Side) -> None:
    """`modernflowtype` 1 is a flow of Copilot Studio, 0 a plain one (platform.md#agent-flows)."""
    environment = await side.read_environment()
    workflows = side.ports.workflows

    await workflows.create(environment, build_draft(side, modern_type=1))

    assert (await workflows.get(environment, COPY)).modern_type == 1
    assert (await workflows.get(environment, HTTP_FLOW)).modern_type == 0
