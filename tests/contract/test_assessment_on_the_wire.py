from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from shared.adapters.http.client import HttpClient, HttpService, ServiceRequest
from shared.adapters.power_apps import canvas_apps
from shared.adapters.power_apps.canvas_app_document import find_flow_ids
from shared.adapters.power_apps.canvas_apps import DOCUMENTS
from shared.callers.canvas_app import CanvasAppCallers
from shared.domain.callers.caller import Caller
from shared.errors import InvalidInput, JobBlocked
from tests.contract.adapter_world import Adapters, run_adapters
from tests.contract.ports.described_tenant import APP_OF_FLOW, build_description
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW


@pytest.fixture
async def app(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch, build_description()) as made:
        yield made


async def test_unreadable_connector_leaves_the_sign_in_unknown(app: Adapters) -> None:
    app.world.tenant.faults.add(
        Fault(route="power_apps.get_connector", kind=FaultKind.FAIL, status=403, code="Forbidden")
    )

    found = await app.connections.list(ENVIRONMENT)

    assert None in {one.uses_oauth for one in found}


async def test_search_finds_canvas_apps_and_reports_unreadable_ones(
    app: Adapters,
) -> None:
    """A canvas app is a caller that only its maker can change."""
    kind = CanvasAppCallers(app.canvas_apps)
    environment = await app.read_environment()
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


async def test_documents_of_canvas_apps_do_not_exhaust_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A document can have hundreds of megabytes."""
    description = build_description()
    [home, *_] = description["environments"]
    [first, *_] = home["canvasApps"]
    names = [f"b0000000-0000-4000-8000-0000000000{number}" for number in range(10, 22)]
    home["canvasApps"] = [{**first, "name": name, "displayName": name} for name in names]
    reading: list[int] = []
    send = HttpClient.send
    now = 0

    async def count(self: HttpClient, service: HttpService, call: ServiceRequest) -> Any:
        nonlocal now
        if service is not DOCUMENTS:
            return await send(self, service, call)
        now += 1
        reading.append(now)
        try:
            return await send(self, service, call)
        finally:
            now -= 1

    monkeypatch.setattr(HttpClient, "send", count)
    async with run_adapters(monkeypatch, description) as app:
        small = await app.canvas_apps.list_with_flows(ENVIRONMENT)
        monkeypatch.setattr(canvas_apps, "_LARGEST_DOCUMENT", 100)
        large = await app.canvas_apps.list_with_flows(ENVIRONMENT)

    assert len(reading) == 2 * len(names)
    assert max(reading) <= 4
    assert {one.unknown_reason for one in small} == {""}
    assert all(one.display_name in one.unknown_reason for one in large)


def test_invalid_document_of_a_canvas_app_raises_invalid_input() -> None:
    with pytest.raises(InvalidInput):
        find_flow_ids(b"PK\x03\x04 no archive")
