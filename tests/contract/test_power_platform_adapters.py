import json
from dataclasses import replace

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from shared.adapters.flow_service.wire import FlowEntity
from shared.domain.flow import FlowState
from shared.errors import AlreadyExists, NotFound, ServiceUnavailable, ThrottledError
from tests.contract.adapter_world import Adapters
from tests.local_cloud.tenant.drafted_flow import build_copy_draft
from tests.local_cloud.tenant.tenant_world import (
    BUTTON_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    build_client_data,
    build_definition,
    build_references,
)


async def test_definition_from_the_flow_service_has_the_dataverse_format(app: Adapters) -> None:
    """The app can write such a definition to `clientdata`."""
    flow = app.world.environment.flows[HTTP_FLOW]
    flow.save(build_client_data(build_definition(HTTP), build_references("cr1_office")))

    detail = await app.flow_reports.get_flow(ENVIRONMENT, HTTP_FLOW)

    given = json.loads(detail.client_data or "")
    assert given["properties"]["connectionReferences"] == build_references("cr1_office")
    assert given["properties"]["definition"] == build_definition(HTTP)
    assert (detail.owner_id, detail.state, detail.in_solution) == (MAKER, FlowState.ON, True)
    assert detail.workflow_id == HTTP_FLOW


async def test_platform_faults_and_lost_answers_raise_service_unavailable(app: Adapters) -> None:
    faults = app.world.tenant.faults
    faults.add(Fault(route="flow_service.*", status=503))
    assert await app.flow_reports.list_flows(ENVIRONMENT)

    faults.add(Fault(route="flow_service.*", status=503, times=2))
    with pytest.raises(ServiceUnavailable):
        await app.flow_reports.list_flows(ENVIRONMENT)

    faults.add(Fault(route="dataverse.*", kind=FaultKind.DROP_AFTER))
    environment = await app.read_environment()
    with pytest.raises(ServiceUnavailable):
        await app.workflows.create(environment, build_copy_draft(app))
    with pytest.raises(AlreadyExists):
        await app.workflows.create(environment, build_copy_draft(app))


async def test_throttled_request_has_a_wait(app: Adapters) -> None:
    budget = {"flow_service": {"calls": 1, "seconds": 60}}
    await app.world.control("PUT", "/budgets", budget)
    await app.flow_reports.list_flows(ENVIRONMENT)

    with pytest.raises(ThrottledError) as caught:
        await app.flow_reports.list_flows(ENVIRONMENT)

    assert caught.value.retry_after is not None


async def test_unreachable_host_raises_service_unavailable(app: Adapters) -> None:
    other = replace(await app.read_environment(), dataverse_url="https://elsewhere.example")

    with pytest.raises(ServiceUnavailable):
        await app.workflows.get(other, HTTP_FLOW)


async def test_flow_in_the_recycle_bin_is_not_found(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform may return such a flow instead of an error with status 404."""
    shown = FlowEntity.model_validate(
        {"name": BUTTON_FLOW, "properties": {"displayName": "x", "state": "Deleted"}}
    )
    monkeypatch.setattr("shared.adapters.flow_service.flows.parse_wire", lambda *_: shown)

    with pytest.raises(NotFound):
        await app.flow_reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
