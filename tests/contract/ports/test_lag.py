from datetime import timedelta

import pytest

from shared.domain.flow import FlowState, Workflow, WorkflowUpdate
from shared.errors import AlreadyExists, Conflict, NotFound, PlatformError
from tests.contract.ports.sides import Side
from tests.contract.ports.test_activation import TURN_OFF, create_copy
from tests.contract.ports.test_connection_references import REFERENCE
from tests.contract.ports.test_connection_references import build_draft as reference_draft
from tests.contract.ports.test_workflows import COPY, TURN_ON
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW

HALF = timedelta(seconds=31)


@pytest.fixture(autouse=True)
def set_lag(side: Side) -> None:
    """Make reads of a single item lag 30 seconds behind writes, and lists 60 seconds."""
    side.hands.assumptions.read_lag_seconds = (30, 30)
    side.hands.assumptions.list_lag_seconds = (60, 60)


async def read_row(side: Side, workflow_id: str = HTTP_FLOW) -> Workflow | None:
    try:
        return await side.ports.workflows.get(await side.read_environment(), workflow_id)
    except NotFound:
        return None


async def list_flow(side: Side, workflow_id: str = HTTP_FLOW) -> list[Workflow]:
    rows = side.ports.workflows.list(await side.read_environment())
    return [one async for one in rows if one.workflow_id == workflow_id]


async def test_created_flow_is_readable_and_listed_with_a_delay(side: Side) -> None:
    await create_copy(side)
    soon = await read_row(side, COPY)
    await side.ports.workflows.update(await side.read_environment(), COPY, TURN_ON, etag="*")
    side.hands.advance(HALF)
    later, early_list = await read_row(side, COPY), await list_flow(side, COPY)
    side.hands.advance(HALF)

    assert (soon, early_list) == (None, [])
    assert later is not None
    assert later.state is FlowState.ON
    assert await list_flow(side, COPY) == [later]


@pytest.mark.parametrize("change", [TURN_OFF, WorkflowUpdate(name="Renamed")])
async def test_changed_flow_reads_as_before_until_the_delay_ends(
    side: Side, change: WorkflowUpdate
) -> None:
    environment, before = await side.read_environment(), await read_row(side)
    assert before is not None
    await side.ports.workflows.update(environment, HTTP_FLOW, change, etag=before.etag)

    assert await read_row(side) == before
    assert (await side.ports.flow_reports.get_flow(ENVIRONMENT, HTTP_FLOW)).state is before.state
    with pytest.raises(Conflict):
        await side.ports.workflows.update(environment, HTTP_FLOW, TURN_ON, etag=before.etag)
    side.hands.advance(HALF)
    after = await read_row(side)
    assert after is not None
    assert (after.etag, after.name, after.state) != (before.etag, before.name, before.state)
    assert await list_flow(side) == [before]
    side.hands.advance(HALF)
    assert await list_flow(side) == [after]


async def test_changed_variable_is_listed_as_before_until_the_delay_ends(side: Side) -> None:
    environment, variables = await side.read_environment(), side.ports.environment_variables
    [before] = await variables.list(environment)
    assert before.value_id is not None
    await variables.write_value(environment, before.value_id, "new", etag=before.value_etag)

    side.hands.advance(HALF)
    assert await variables.list(environment) == [before]
    with pytest.raises(Conflict):
        await variables.write_value(environment, before.value_id, "late", etag=before.value_etag)
    side.hands.advance(HALF)
    assert [one.value for one in await variables.list(environment)] == ["new"]


async def test_created_reference_is_readable_and_listed_with_a_delay(side: Side) -> None:
    environment, references = await side.read_environment(), side.ports.connection_references
    made = reference_draft(side)
    await references.create(environment, made)

    with pytest.raises(NotFound):
        await references.get(environment, REFERENCE)
    with pytest.raises(AlreadyExists):
        await references.create(environment, made)
    side.hands.advance(HALF)
    row = await references.get(environment, REFERENCE)
    assert await references.find_by_name(environment, [made.logical_name]) == []
    side.hands.advance(HALF)
    assert await references.find_by_name(environment, [made.logical_name]) == [row]


async def test_deleted_flow_is_readable_and_listed_until_the_delay_ends(side: Side) -> None:
    before = await read_row(side)
    await side.ports.workflows.delete(await side.read_environment(), HTTP_FLOW)

    assert await read_row(side) == before
    side.hands.advance(HALF)
    assert (await read_row(side), await list_flow(side)) == (None, [before])
    side.hands.advance(HALF)
    assert await list_flow(side) == []


async def test_co_ownership_can_be_revoked_before_it_is_listed(
    side: Side,
) -> None:
    await side.hands.sign_in()
    access, operator = side.ports.flow_access, await side.ports.flow_access.read_account_id()
    await access.grant(ENVIRONMENT, HTTP_FLOW)
    await access.revoke(ENVIRONMENT, HTTP_FLOW)
    await access.revoke(ENVIRONMENT, HTTP_FLOW)
    side.hands.advance(HALF)

    held = await access.read_permissions(ENVIRONMENT, HTTP_FLOW)
    assert operator not in {one.principal_id for one in held}
    with pytest.raises(PlatformError, match="NoCoOwner"):
        await access.read_trigger_url(ENVIRONMENT, HTTP_FLOW, "manual")
