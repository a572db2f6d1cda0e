"""Test how both implementations of `Workflows` reject a save (platform.md#rejected-saves)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.flow import FlowState, WorkflowUpdate
from shared.domain.platform_errors import REFERENCE_NOT_FOUND
from shared.errors import PlatformError
from tests.contract.ports.sides import Side
from tests.contract.ports.test_activation import build_definition_with, change_flow, create_copy
from tests.contract.ports.test_workflows import COPY
from tests.local_cloud.tenant.tenant_world import (
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    build_client_data,
    build_definition,
    build_references,
)

OLDER = {
    "Send": {
        "type": "OpenApiConnection",
        "inputs": {"host": {"connectionName": "shared_office365", "operationId": "SendEmailV2"}},
        "runAfter": {},
    }
}
NEWER = {
    "Send": {
        "type": "OpenApiConnection",
        "inputs": {
            "host": {"connectionReferenceName": "shared_office365", "operationId": "SendEmailV2"}
        },
        "runAfter": {},
    }
}


def build_mail_definition(actions: dict[str, Any], references: dict[str, Any] | None = None) -> str:
    """Return a definition that sends mail with the app's connection."""
    references = build_references("cr1_officeshared") if references is None else references
    return build_client_data(build_definition(HTTP, actions), references)


async def read_references(side: Side) -> dict[str, Any]:
    row = await side.ports.workflows.get(await side.read_environment(), COPY)
    references: dict[str, Any] = json.loads(row.client_data)["properties"]["connectionReferences"]
    return references


async def save_copy(side: Side, text: str, **more: Any) -> None:
    await change_flow(side, WorkflowUpdate(client_data=text, **more))


async def test_rejected_save_may_empty_the_connection_references(side: Side) -> None:
    side.hands.assumptions.older_host_shapes_refused = True
    side.hands.assumptions.refused_saves_wipe_references = True
    environment = await side.read_environment()
    await create_copy(side, build_mail_definition(NEWER))
    await change_flow(side, WorkflowUpdate(state=FlowState.ON))
    before = await side.ports.workflows.get(environment, COPY)

    with pytest.raises(PlatformError, match="connectionReferenceName"):
        await save_copy(side, build_mail_definition(OLDER))

    after = await side.ports.workflows.get(environment, COPY)
    assert json.loads(after.client_data)["properties"]["connectionReferences"] == {}
    assert (after.etag, after.state, after.name) == (before.etag, before.state, before.name)
    assert side.hands.count_wiped_references(COPY) == 1


async def test_save_with_the_references_restores_them(side: Side) -> None:
    """A save of the definition with emptied references is rejected again."""
    side.hands.assumptions.older_host_shapes_refused = True
    side.hands.assumptions.refused_saves_wipe_references = True
    environment = await side.read_environment()
    await create_copy(side, build_mail_definition(NEWER))
    with pytest.raises(PlatformError):
        await save_copy(side, build_mail_definition(OLDER))
    emptied = (await side.ports.workflows.get(environment, COPY)).client_data

    with pytest.raises(PlatformError, match="could not be found for the operation 'Send'"):
        await save_copy(side, emptied)
    with pytest.raises(PlatformError, match="could not be found for the operation 'Send'"):
        await change_flow(side, WorkflowUpdate(state=FlowState.ON))
    await save_copy(side, build_mail_definition(NEWER))

    assert set(await read_references(side)) == {"shared_office365"}
    assert await change_flow(side, WorkflowUpdate(state=FlowState.ON)) is FlowState.ON


async def test_save_of_a_flow_that_is_on_is_rejected_for_an_unusable_connection(
    side: Side,
) -> None:
    side.hands.assumptions.refused_saves_wipe_references = True
    await create_copy(side, build_mail_definition(NEWER))
    await change_flow(side, WorkflowUpdate(state=FlowState.ON))

    with pytest.raises(PlatformError, match="ConnectionAuthorizationFailed"):
        await save_copy(side, build_mail_definition(NEWER, build_references("cr1_office")))

    assert await read_references(side) == {}


async def test_rejected_save_changes_nothing_on_the_documented_platform(
    side: Side,
) -> None:
    side.hands.assumptions.older_host_shapes_refused = True
    await create_copy(side, build_mail_definition(NEWER))

    with pytest.raises(PlatformError):
        await save_copy(side, build_mail_definition(OLDER))

    assert set(await read_references(side)) == {"shared_office365"}
    assert side.hands.count_wiped_references(COPY) == 0


async def test_rejected_save_of_a_flow_without_references_changes_nothing(side: Side) -> None:
    side.hands.assumptions.refused_saves_wipe_references = True

    with pytest.raises(PlatformError, match="InvalidTemplate"):
        await change_flow(side, WorkflowUpdate(client_data="{}"), HTTP_FLOW)

    assert side.hands.count_wiped_references(HTTP_FLOW) == 0


async def test_definition_without_the_reference_of_an_operation_is_rejected(side: Side) -> None:
    with pytest.raises(PlatformError, match="could not be found for the operation 'Send'"):
        await create_copy(side, build_mail_definition(NEWER, {}))


async def test_every_save_of_a_flow_with_an_unknown_reference_is_rejected(side: Side) -> None:
    """The platform itself may add such a reference."""
    await create_copy(side, build_mail_definition(NEWER))
    side.hands.stamp_reference(COPY, "new_sharedoffice365_1a2b3")

    for text in (
        build_mail_definition(NEWER),
        build_definition_with("cr1_officeshared"),
        build_client_data(build_definition(HTTP)),
    ):
        with pytest.raises(
            PlatformError, match="'new_sharedoffice365_1a2b3' could not be found"
        ) as no:
            await save_copy(side, text)
        assert no.value.code == REFERENCE_NOT_FOUND
    await side.ports.workflows.delete(await side.read_environment(), COPY)
    await create_copy(side, build_mail_definition(NEWER))
    await save_copy(side, build_mail_definition(NEWER))


async def test_flow_service_may_return_a_format_that_no_save_accepts(side: Side) -> None:
    side.hands.assumptions.flow_service_shows_runtime_shape = True
    side.hands.assumptions.older_host_shapes_refused = True
    await create_copy(side, build_mail_definition(NEWER))
    row = await side.ports.workflows.get(await side.read_environment(), COPY)

    shown = (await side.ports.flow_reports.get_flow(ENVIRONMENT, COPY)).client_data or ""

    operation = json.loads(shown)["properties"]["definition"]["actions"]["Send"]["inputs"]
    assert operation["authentication"] == "@parameters('$authentication')"
    assert operation["host"] == {"connectionName": "shared_office365", "operationId": "SendEmailV2"}
    assert row.client_data == build_mail_definition(NEWER)
    with pytest.raises(PlatformError, match="authentication"):
        await save_copy(side, shown)


async def test_temporarily_rejected_save_succeeds_later(side: Side) -> None:
    side.hands.assumptions.unpublished_row_seconds = 60
    await create_copy(side, build_mail_definition(NEWER))
    await save_copy(side, build_mail_definition(NEWER))
    await change_flow(
        side, WorkflowUpdate(state=FlowState.ON, on_behalf_of=side.hands.find_user_id(MAKER))
    )

    for _ in range(2):
        with pytest.raises(PlatformError) as refused:
            await save_copy(side, build_mail_definition(NEWER))
        assert refused.value.code == "0x80040203"
        side.hands.advance(timedelta(seconds=29))
    side.hands.advance(timedelta(seconds=3))
    await save_copy(side, build_mail_definition(NEWER))


async def test_reads_show_emptied_references_with_a_delay(side: Side) -> None:
    side.hands.assumptions.refused_saves_wipe_references = True
    await create_copy(side, build_mail_definition(NEWER))
    side.hands.assumptions.read_lag_seconds = (30.0, 30.0)

    with pytest.raises(PlatformError):
        await save_copy(side, "{}")

    assert set(await read_references(side)) == {"shared_office365"}
    side.hands.advance(timedelta(seconds=31))
    assert await read_references(side) == {}
