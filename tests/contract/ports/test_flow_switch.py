from datetime import timedelta

import pytest

from shared.domain.flow import FlowState, WorkflowUpdate
from shared.errors import NotFound, PlatformError, PlatformMigrationInProgress
from tests.contract.ports.described_tenant import STRANGER
from tests.contract.ports.sides import Side
from tests.contract.ports.test_workflows import COPY, TURN_ON, build_draft
from tests.local_cloud.tenant.tenant_world import (
    BUTTON_FLOW,
    DAILY_FLOW,
    ENVIRONMENT,
    HTTP_FLOW,
    build_client_data,
    build_definition,
)


async def test_administrator_turns_a_flow_off_and_on(side: Side) -> None:
    switch, get_flow = side.ports.flow_switch, side.ports.flow_reports.get_flow

    for _ in range(2):
        await switch.stop(ENVIRONMENT, BUTTON_FLOW)
    off = await get_flow(ENVIRONMENT, BUTTON_FLOW)
    for _ in range(2):
        await switch.start(ENVIRONMENT, BUTTON_FLOW)
    on = await get_flow(ENVIRONMENT, BUTTON_FLOW)

    assert (off.state, on.state) == (FlowState.OFF, FlowState.ON)


async def test_flow_in_a_solution_is_first_turned_on_in_dataverse(side: Side) -> None:
    """The flow service turns on a flow in a solution only if Dataverse once turned it on."""
    environment, switch = await side.read_environment(), side.ports.flow_switch
    await side.ports.workflows.create(environment, build_draft(side))

    with pytest.raises(PlatformError, match="CannotStartUnpublishedSolutionFlow"):
        await switch.start(ENVIRONMENT, COPY)
    await side.ports.workflows.update(environment, COPY, TURN_ON, etag="*")
    await switch.stop(ENVIRONMENT, COPY)
    await switch.start(ENVIRONMENT, COPY)

    assert (await side.ports.workflows.get(environment, COPY)).state is FlowState.ON


async def test_start_and_stop_of_a_missing_flow_raise_not_found(side: Side) -> None:
    with pytest.raises(NotFound):
        await side.ports.flow_switch.start(ENVIRONMENT, STRANGER)
    with pytest.raises(NotFound):
        await side.ports.flow_switch.stop(ENVIRONMENT, STRANGER)


async def test_deleted_flow_is_restored_off_and_otherwise_unchanged(side: Side) -> None:
    switch, reports = side.ports.flow_switch, side.ports.flow_reports
    before = await reports.get_flow(ENVIRONMENT, BUTTON_FLOW)

    await switch.delete(ENVIRONMENT, BUTTON_FLOW)
    await switch.delete(ENVIRONMENT, BUTTON_FLOW)
    with pytest.raises(NotFound):
        await reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
    listed = await reports.list_flows(ENVIRONMENT)
    await switch.restore(ENVIRONMENT, BUTTON_FLOW)
    after = await reports.get_flow(ENVIRONMENT, BUTTON_FLOW)

    assert BUTTON_FLOW not in {flow.flow_name for flow in listed}
    assert after.client_data == before.client_data
    assert after.state is FlowState.OFF


async def test_flow_that_is_not_in_the_recycle_bin_cannot_be_restored(side: Side) -> None:
    await side.ports.flow_switch.delete(ENVIRONMENT, BUTTON_FLOW)
    side.hands.advance(timedelta(days=21))

    for name in (HTTP_FLOW, STRANGER, BUTTON_FLOW):
        with pytest.raises(NotFound):
            await side.ports.flow_switch.restore(ENVIRONMENT, name)


async def test_flow_cannot_be_stopped_during_the_platform_migration(side: Side) -> None:
    """The error names the migration, so that the app can wait for its end."""
    await side.hands.link()

    with pytest.raises(PlatformMigrationInProgress):
        await side.ports.flow_switch.stop(ENVIRONMENT, DAILY_FLOW)


async def test_power_apps_v1_flow_migrates_after_it_is_added_to_a_solution(side: Side) -> None:
    report = side.ports.flow_reports.read_microsoft_key_flows
    first = {"type": "Request", "kind": "PowerApp", "inputs": {}}
    edit = WorkflowUpdate(client_data=build_client_data(build_definition(first)))
    await side.ports.workflows.update(await side.read_environment(), BUTTON_FLOW, edit, etag="*")
    await side.hands.link()
    await side.hands.migrate()
    before = await report(ENVIRONMENT, cannot_migrate_only=True)

    await side.ports.flow_placement.add_to_solution(ENVIRONMENT, [BUTTON_FLOW])

    after = await report(ENVIRONMENT, cannot_migrate_only=False)
    assert BUTTON_FLOW in {flow.flow_name for flow in before.items}
    assert BUTTON_FLOW not in {flow.flow_name for flow in after.items}


async def test_at_most_twenty_flows_are_added_to_a_solution_per_request(side: Side) -> None:
    place = side.ports.flow_placement.add_to_solution

    await place(ENVIRONMENT, [BUTTON_FLOW, HTTP_FLOW])
    with pytest.raises(PlatformError):
        await place(ENVIRONMENT, [f"{number}" for number in range(21)])
    with pytest.raises(NotFound):
        await place(ENVIRONMENT, [HTTP_FLOW, STRANGER])

    placed = await side.ports.flow_reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
    assert placed.in_solution
    assert placed.workflow_id is not None
