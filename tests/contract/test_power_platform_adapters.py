"""Test adapters of the admin API and the flow service with platform faults, over TLS."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from shared.adapters.flow_service.wire import FlowEntity
from shared.domain.flow import FlowState
from shared.errors import AlreadyExists, NotFound, ServiceUnavailable, ThrottledError
from tests.contract.adapter_world import Adapters, run_adapters
from tests.local_cloud.tenant.drafted_flow import draft
from tests.local_cloud.tenant.tenant_world import (
    BUTTON_FLOW,
    ENVIRONMENT,
    HTTP,
    HTTP_FLOW,
    MAKER,
    bound,
    client_data,
    definition,
)


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Return all adapters on a separate tenant for this test."""
    async with run_adapters(monkeypatch) as made:
        yield made


async def test_a_flow_reads_in_the_shape_of_dataverse(app: Adapters) -> None:
    """The definition from the flow service can be written as `clientdata`."""
    flow = app.world.environment.flows[HTTP_FLOW]
    flow.save(client_data(definition(HTTP), bound("cr1_office")))

    detail = await app.flow_reports.get_flow(ENVIRONMENT, HTTP_FLOW)

    given = json.loads(detail.client_data or "")
    assert given["properties"]["connectionReferences"] == bound("cr1_office")
    assert given["properties"]["definition"] == definition(HTTP)
    assert (detail.owner_id, detail.state, detail.in_solution) == (MAKER, FlowState.ON, True)
    assert detail.workflow_id == HTTP_FLOW


async def test_faults_of_the_platform_are_transient(app: Adapters) -> None:
    """A read survives one fault, but not two; a lost answer is a fault, too."""
    faults = app.world.tenant.faults
    faults.add(Fault(route="flow_service.*", status=503))
    assert await app.flow_reports.list_flows(ENVIRONMENT)

    faults.add(Fault(route="flow_service.*", status=503, times=2))
    with pytest.raises(ServiceUnavailable):
        await app.flow_reports.list_flows(ENVIRONMENT)

    faults.add(Fault(route="dataverse.*", kind=FaultKind.DROP_AFTER))
    environment = await app.environment()
    with pytest.raises(ServiceUnavailable):
        await app.workflows.create(environment, draft(app))
    with pytest.raises(AlreadyExists):
        await app.workflows.create(environment, draft(app))


async def test_too_many_calls_are_throttled_with_a_wait(app: Adapters) -> None:
    """The platform's own budget rejects the second request."""
    budget = {"flow_service": {"calls": 1, "seconds": 60}}
    await app.world.control("PUT", "/budgets", budget)
    await app.flow_reports.list_flows(ENVIRONMENT)

    with pytest.raises(ThrottledError) as caught:
        await app.flow_reports.list_flows(ENVIRONMENT)

    assert caught.value.retry_after is not None


async def test_a_host_that_the_network_refuses_is_unavailable(app: Adapters) -> None:
    """A tunnel that does not lead to the host gives no answer."""
    other = replace(await app.environment(), dataverse_url="https://elsewhere.example")

    with pytest.raises(ServiceUnavailable):
        await app.workflows.get(other, HTTP_FLOW)


async def test_a_flow_that_is_shown_from_the_bin_counts_as_gone(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the platform returns a deleted flow instead of a 404, the app does not use it."""
    shown = FlowEntity.model_validate(
        {"name": BUTTON_FLOW, "properties": {"displayName": "x", "state": "Deleted"}}
    )
    monkeypatch.setattr("shared.adapters.flow_service.flows.read_wire", lambda *_: shown)

    with pytest.raises(NotFound):
        await app.flow_reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
