"""Test the regional hosts of the flow service. See platform.md#regional-hosts."""

from copy import deepcopy
from typing import Any

import pytest

from local_cloud.tenant.power_platform import environments as admin_api
from tests.contract.adapter_world import Adapters, build_description, run_adapters
from tests.local_cloud.tenant.tenant_world import (
    ENVIRONMENT,
    HTTP_FLOW,
    OTHER_REGION,
    serve_tenant_world,
)

GLOBAL = "api.flow.microsoft.com"
KINGDOM = "e0000000-0000-4000-8000-0000000000b1"


def build_flows_url(environment: str, host: str) -> str:
    path = f"providers/Microsoft.ProcessSimple/scopes/admin/environments/{environment}/v2/flows"
    return f"https://{host}/{path}"


def describe_tenant() -> dict[str, Any]:
    """Return the seed of a tenant with a second environment, in the United Kingdom."""
    full = deepcopy(build_description())
    full["assumptions"]["global_flow_host_refuses"] = ["europe", "unitedkingdom"]
    first, *_ = full["environments"]
    flows = [
        {**first["flows"][0], "workflowEntityId": KINGDOM[:-2] + "f1", "solutions": []},
    ]
    full["environments"].append(
        {
            "id": KINGDOM,
            "displayName": "Contoso UK",
            "location": "unitedkingdom",
            "orgHost": "contoso.crm11.dynamics.com",
            "members": first["members"],
            "flows": flows,
        }
    )
    return full


async def test_regional_host_serves_its_region_only() -> None:
    async with serve_tenant_world() as world:
        own = await world.call("GET", build_flows_url(ENVIRONMENT, f"emea.{GLOBAL}"))
        others = await world.call("GET", build_flows_url(ENVIRONMENT, f"unitedstates.{GLOBAL}"))
        back = await world.call("GET", build_flows_url(OTHER_REGION, f"unitedstates.{GLOBAL}"))
        with pytest.raises(Exception, match="403"):
            await world.call("GET", build_flows_url(ENVIRONMENT, f"uk.{GLOBAL}"))

        assert [own.status, others.status, back.status] == [200, 403, 200]
        assert others.code == "EnvironmentAccessDenied"
        assert world.server.refused_hosts == [f"uk.{GLOBAL}:443"]


async def test_the_global_host_may_reject_a_region() -> None:
    """Users have reported the error with which the global host rejects a region."""
    async with serve_tenant_world() as world:
        before = await world.call("GET", build_flows_url(ENVIRONMENT, GLOBAL))
        await world.control("PUT", "/assumptions", {"global_flow_host_refuses": ["europe"]})
        refused = await world.call("GET", build_flows_url(ENVIRONMENT, GLOBAL))
        others = await world.call("GET", build_flows_url(OTHER_REGION, GLOBAL))

    assert [before.status, refused.status, others.status] == [200, 400, 200]
    assert refused.code == "AzureResourceManagerRequestFailed"
    assert "MacroRegionDerivationFailed" in refused.body["error"]["message"]


async def send_requests(app: Adapters) -> list[int]:
    reports = app.flow_reports
    first = await reports.list_flows(ENVIRONMENT)
    kingdom = await reports.list_flows(KINGDOM)
    page = await app.flow_pages.read_flows(KINGDOM)
    detail = await reports.get_flow(ENVIRONMENT, HTTP_FLOW)
    await app.flow_switch.stop(ENVIRONMENT, HTTP_FLOW)
    await app.flow_switch.start(ENVIRONMENT, HTTP_FLOW)
    held = await app.flow_access.read_permissions(ENVIRONMENT, detail.flow_name)
    return [len(first), len(kingdom), len(page.items), len(held)]


async def test_app_calls_the_host_that_each_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with run_adapters(monkeypatch, describe_tenant()) as app:
        app.world.tenant.calls.reset()
        found = await send_requests(app)
        routes = app.world.tenant.calls.routes

        assert found == [6, 1, 1, 1]
        # Twice here; a step has read the environment before.
        assert routes["bap.get_environment"] == 2
        assert routes["flow_service.admin_list_flows"] == 3


async def test_app_finds_the_regional_host_of_an_environment_without_a_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The global host's error names the region. The app then uses that region's host."""
    monkeypatch.setattr(admin_api, "list_runtime_endpoints", lambda _: {})
    async with run_adapters(monkeypatch, describe_tenant()) as app:
        app.world.tenant.calls.reset()

        assert await send_requests(app) == [6, 1, 1, 1]
        assert app.world.tenant.calls.routes["flow_service.admin_list_flows"] == 6
        assert app.world.environment.workflows[HTTP_FLOW].state == "Started"
