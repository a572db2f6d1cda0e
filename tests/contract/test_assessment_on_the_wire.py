"""Test the adapters of an assessment with faults, and the search for canvas apps as callers."""

from collections.abc import AsyncIterator

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from shared.adapters.power_apps.canvas_app_document import find_flow_ids
from shared.callers.canvas_app import CanvasAppCallers
from shared.domain.callers.caller import Caller
from shared.errors import InvalidInput, JobBlocked
from tests.contract.adapter_world import Adapters, run_adapters
from tests.contract.ports.described_tenant import APP_OF_FLOW, build_description
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    """Return all adapters on a separate tenant for this test."""
    async with run_adapters(monkeypatch, build_description()) as made:
        yield made


async def test_unreadable_connector_leaves_the_sign_in_unknown(app: Adapters) -> None:
    """After a rejected read, the app assumes neither OAuth nor another sign-in."""
    app.world.tenant.faults.add(
        Fault(route="power_apps.get_connector", kind=FaultKind.FAIL, status=403, code="Forbidden")
    )

    found = await app.connections.list(ENVIRONMENT)

    assert None in {one.uses_oauth for one in found}


async def test_search_finds_canvas_apps_and_reports_unreadable_ones(
    app: Adapters,
) -> None:
    """A canvas app is a caller that its maker must change."""
    kind = CanvasAppCallers(app.canvas_apps)
    environment = await app.environment()
    found: list[Caller] = []

    async def search() -> None:
        async for caller in kind.find([environment]):
            found.append(caller)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(JobBlocked, match="Broken"):
        await search()

    callers = {one.address: one for one in found if HTTP_FLOW in one.child_flow_ids}
    caller = callers[f"{ENVIRONMENT}/{APP_OF_FLOW}"]
    assert "Studio" in caller.manual_reason
    assert HTTP_FLOW in (await kind.read(caller)).text


def test_invalid_document_of_a_canvas_app_raises_invalid_input() -> None:
    with pytest.raises(InvalidInput):
        find_flow_ids(b"PK\x03\x04 no archive")
