from collections.abc import Mapping
from typing import Any

import pytest

from shared.domain.flow import FlowState, WorkflowUpdate
from shared.errors import NotFound, PlatformError
from tests.contract.ports.described_tenant import TRAINEE
from tests.contract.ports.sides import Side
from tests.contract.ports.test_workflows import COPY, TURN_ON, build_draft
from tests.local_cloud.tenant.tenant_world import (
    BUTTON,
    DAILY,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    build_child_action,
    build_client_data,
    build_definition,
    build_references,
)

TURN_OFF = WorkflowUpdate(state=FlowState.OFF)


async def create_copy(side: Side, text: str = "", **more: Any) -> None:
    text = text or build_client_data(build_definition(HTTP))
    await side.ports.workflows.create(
        await side.read_environment(), build_draft(side, client_data=text, **more)
    )


async def change_flow(side: Side, what: WorkflowUpdate, workflow_id: str = COPY) -> FlowState:
    environment = await side.read_environment()
    await side.ports.workflows.update(environment, workflow_id, what, etag="*")
    return (await side.ports.workflows.get(environment, workflow_id)).state


def build_definition_with(connection: str, trigger: Mapping[str, Any] = DAILY) -> str:
    return build_client_data(build_definition(trigger), build_references(connection))


async def test_app_can_turn_on_a_flow_with_a_connection_shared_with_it(side: Side) -> None:
    """See platform.md#flow-grants."""
    await create_copy(side, build_definition_with("cr1_officeshared"))

    assert await change_flow(side, TURN_ON) is FlowState.ON
    assert await change_flow(side, TURN_OFF) is FlowState.OFF
    assert await change_flow(side, TURN_ON) is FlowState.ON


async def test_app_can_turn_a_flow_off_and_on_after_its_owner_turned_it_on(side: Side) -> None:
    """The flow then has its own permission to use the connection (platform.md#flow-grants)."""
    await create_copy(side, build_definition_with("cr1_office"))
    for_owner = WorkflowUpdate(state=FlowState.ON, on_behalf_of=side.hands.find_user_id(MAKER))

    assert await change_flow(side, for_owner) is FlowState.ON
    assert await change_flow(side, TURN_OFF) is FlowState.OFF
    assert await change_flow(side, TURN_ON) is FlowState.ON


async def test_activation_for_the_owner_fails_if_the_header_is_lost(side: Side) -> None:
    """Without the impersonation header, the flow service checks the app's own rights."""
    side.hands.assumptions.impersonation_reaches_flow_service = False
    await create_copy(side, build_definition_with("cr1_office"))
    for_owner = WorkflowUpdate(state=FlowState.ON, on_behalf_of=side.hands.find_user_id(MAKER))

    with pytest.raises(PlatformError, match="ConnectionAuthorizationFailed"):
        await change_flow(side, for_owner)


async def test_a_premium_flow_of_an_unlicensed_owner_stays_off(side: Side) -> None:
    await create_copy(side, owner_id=side.hands.find_user_id(TRAINEE))

    with pytest.raises(PlatformError, match="MissingAdequateQuotaPolicy"):
        await change_flow(side, TURN_ON)


async def test_accepted_activation_may_have_no_effect(side: Side) -> None:
    """The platform accepts the request, although the flow stays off."""
    side.hands.assumptions.activations_that_do_not_stick = 1
    await create_copy(side)

    assert await change_flow(side, TURN_ON) is FlowState.OFF
    assert await change_flow(side, TURN_ON) is FlowState.ON


async def test_activation_may_change_the_flow_name(side: Side) -> None:
    """The flow service no longer finds the copy by its Dataverse id."""
    side.hands.assumptions.activation_changes_flow_name = True
    await create_copy(side)
    reports = side.ports.flow_reports

    await change_flow(side, TURN_ON)

    with pytest.raises(NotFound):
        await reports.get_flow(ENVIRONMENT, COPY)
    [name] = [
        flow.flow_name for flow in await reports.list_flows(ENVIRONMENT) if flow.workflow_id == COPY
    ]
    assert (await reports.get_flow(ENVIRONMENT, name)).workflow_id == COPY


async def test_parent_cannot_be_turned_on_while_its_child_is_off(side: Side) -> None:
    await change_flow(side, TURN_OFF, HTTP_FLOW)
    await create_copy(
        side, build_client_data(build_definition(BUTTON, build_child_action(HTTP_FLOW)))
    )

    with pytest.raises(PlatformError, match="ChildFlowNeverPublished"):
        await change_flow(side, TURN_ON)
    await change_flow(side, TURN_ON, HTTP_FLOW)

    assert await change_flow(side, TURN_ON) is FlowState.ON


async def test_rejected_activation_does_not_change_the_definition(side: Side) -> None:
    await create_copy(side, build_definition_with("cr1_office"))
    both = WorkflowUpdate(client_data=build_definition_with("cr1_office", HTTP), state=FlowState.ON)

    with pytest.raises(PlatformError):
        await change_flow(side, both)

    row = await side.ports.workflows.get(await side.read_environment(), COPY)
    assert (row.client_data, row.state) == (build_definition_with("cr1_office"), FlowState.OFF)


@pytest.mark.parametrize(
    ("connection", "code"),
    [
        ({"connectionReferenceLogicalName": "cr1_missing"}, "XrmConnectionReferenceMissing"),
        ({"name": "no-such-connection"}, "ConnectionAuthorizationFailed"),
        ({"connectionReferenceLogicalName": "cr1_office"}, "ConnectionAuthorizationFailed"),
    ],
)
async def test_missing_connection_and_forbidden_connection_have_different_errors(
    side: Side, connection: Mapping[str, str], code: str
) -> None:
    entry = {"runtimeSource": "embedded", "connection": connection, "api": {"name": "shared_x"}}
    await create_copy(side, build_client_data(build_definition(DAILY), {"shared_x": entry}))

    with pytest.raises(PlatformError, match=code):
        await change_flow(side, TURN_ON)


@pytest.mark.parametrize("is_refused", [True, False])
async def test_flow_with_a_blocked_connector_is_rejected_or_suspended(
    side: Side, *, is_refused: bool
) -> None:
    side.hands.assumptions.data_policy_refuses_activation = is_refused
    side.hands.block_connector("shared_office365")
    await create_copy(side, build_definition_with("cr1_officeshared"))

    if is_refused:
        with pytest.raises(PlatformError, match="DlpViolation"):
            await change_flow(side, TURN_ON)
    else:
        assert await change_flow(side, TURN_ON) is FlowState.SUSPENDED


async def test_invalid_definition_is_rejected(side: Side) -> None:
    with pytest.raises(PlatformError, match="InvalidTemplate"):
        await change_flow(side, WorkflowUpdate(client_data="{}"), HTTP_FLOW)


async def test_flow_that_was_never_on_has_no_trigger_url(side: Side) -> None:
    await side.hands.sign_in()
    await create_copy(side)
    await side.ports.flow_access.grant(ENVIRONMENT, COPY)

    with pytest.raises(PlatformError, match="WorkflowTriggerIsNotEnabled"):
        await side.ports.flow_access.read_trigger_url(ENVIRONMENT, COPY, "manual")
    await change_flow(side, TURN_ON)

    url = await side.ports.flow_access.read_trigger_url(ENVIRONMENT, COPY, "manual")
    assert url == await side.hands.read_trigger_url(COPY)


async def test_flow_outside_solutions_may_have_no_row(side: Side) -> None:
    side.hands.assumptions.my_flows_have_rows = False
    environment = await side.read_environment()

    rows = {row.workflow_id async for row in side.ports.workflows.list(environment)}
    listed = await side.ports.flow_reports.list_flows(ENVIRONMENT)

    assert {flow.flow_name for flow in listed} > rows
    for alone in {flow.flow_name for flow in listed} - rows:
        with pytest.raises(NotFound):
            await side.ports.workflows.get(environment, alone)
