"""Deletes and restores by the adapters, against the tenant, over TLS and the tunnel."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.adapters.flow_service.wire import FlowEntity
from shared.domain.flow import FlowState
from shared.errors import Conflict, NotFound, Refused
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.tenant_world import BUTTON_FLOW, ENVIRONMENT, HTTP_FLOW


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Give all adapters on a tenant of this test's own."""
    async with adapters(monkeypatch) as made:
        yield made


async def test_a_row_is_deleted_only_as_it_was_read(app: Adapters) -> None:
    """Another version is a conflict, and the row stays; the right one goes, and once."""
    environment = await app.environment()
    row = await app.workflows.get(environment, HTTP_FLOW)

    with pytest.raises(Conflict):
        await app.workflows.delete(environment, HTTP_FLOW, etag='W/"0"')
    still = await app.workflows.get(environment, HTTP_FLOW)
    await app.workflows.delete(environment, HTTP_FLOW, etag=row.etag)
    await app.workflows.delete(environment, HTTP_FLOW, etag=row.etag)

    assert still.etag == row.etag
    with pytest.raises(NotFound):
        await app.workflows.get(environment, HTTP_FLOW)


async def test_a_managed_flow_is_not_deleted(app: Adapters) -> None:
    """The platform refuses, and says which privilege is missing."""
    app.world.environment.workflows[HTTP_FLOW].is_managed = True

    with pytest.raises(Refused):
        await app.workflows.delete(await app.environment(), HTTP_FLOW)


async def test_the_flow_service_deletes_and_restores(app: Adapters) -> None:
    """A second delete does nothing; restored, the flow is off and reads as before."""
    before = await app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)

    await app.switch.delete(ENVIRONMENT, BUTTON_FLOW)
    await app.switch.delete(ENVIRONMENT, BUTTON_FLOW)
    with pytest.raises(NotFound):
        await app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
    listed = await app.reports.list_flows(ENVIRONMENT)
    await app.switch.restore(ENVIRONMENT, BUTTON_FLOW)
    after = await app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)

    assert BUTTON_FLOW not in {flow.flow_name for flow in listed}
    assert after.client_data == before.client_data
    assert after.state is FlowState.OFF


async def test_what_is_not_in_the_bin_cannot_be_restored(app: Adapters) -> None:
    """A flow that stands, one that never was, and one that was deleted 21 days ago."""
    await app.switch.delete(ENVIRONMENT, BUTTON_FLOW)
    app.world.tenant.clock.advance(timedelta(days=21).total_seconds())

    for name in (HTTP_FLOW, "nobody", BUTTON_FLOW):
        with pytest.raises(NotFound):
            await app.switch.restore(ENVIRONMENT, name)


async def test_a_flow_that_is_shown_from_the_bin_counts_as_gone(
    app: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the platform answer with a deleted flow instead of 404, it is not taken for one."""
    shown = FlowEntity.model_validate(
        {"name": BUTTON_FLOW, "properties": {"displayName": "x", "state": "Deleted"}}
    )
    monkeypatch.setattr("shared.adapters.flow_service.flows.read_wire", lambda *_: shown)

    with pytest.raises(NotFound):
        await app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
