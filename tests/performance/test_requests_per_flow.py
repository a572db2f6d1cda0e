"""Test how many requests one flow needs from its approved plan to its retirement."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.seed.tenant import seed
from local_cloud.tenant.serving.server import TenantServer
from shared.domain.callers.caller_records import CallerSearchProgress
from shared.domain.environment import ApprovalPolicy, EnvironmentSettings
from shared.domain.jobs.flow_states import FlowJobState
from shared.steps.updating_callers import find_callers
from shared.steps.updating_callers.find_callers import search_caller_kind
from tests.functional.scenarios.remediation_scenario import approve_shown
from tests.functional.wire.wire_scenario import PLENTY, SHORT, WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import (
    CHILD,
    OPERATOR,
    ORDERS,
    build_flow_seed,
    build_orders_seed,
    build_tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import (
    DAILY,
    ENVIRONMENT,
    GROUP,
    HTTP,
    build_child_action,
    build_definition,
    build_http_action,
)
from tests.performance.by_hand import open_script_client
from tests.performance.many_flows import build_flow_ids, build_many_flows, build_site_id
from tests.performance.remediation_figures import SERVICES, count_by_service

MANY = 50
#: The table may be this far above what is counted, so that it does not grow stale.
SLACK = 2


def add_callers(description: dict[str, Any], flow_ids: Sequence[str]) -> dict[str, Any]:
    site = f"{GROUP}/providers/Microsoft.Web/sites/shop"
    settings = {f"URL_{n}": f"{{{{trigger_url:{one}}}}}" for n, one in enumerate(flow_ids)}
    app = {"id": site, "hostNames": ["shop.contoso.example"], "appSettings": settings}
    description["azure"]["sites"] = [app]
    return description


def build_seeds() -> dict[str, dict[str, Any]]:
    """Return a tenant's description for each row of the table."""
    daily = build_flow_seed(ORDERS, "Daily", build_definition(DAILY), heldBack=True)
    calling = build_orders_seed(
        definition=build_definition(HTTP, build_http_action("https://api.partner.example/"))
    )
    child = build_flow_seed(CHILD, "Book", build_definition(HTTP))
    parent = build_flow_seed(
        ORDERS, "Take orders", build_definition(HTTP, build_child_action(CHILD))
    )
    return {
        "one called flow, a caller": add_callers(build_tenant_seed(build_orders_seed()), [ORDERS]),
        "the same with an HTTP action": add_callers(build_tenant_seed(calling), [ORDERS]),
        "the same without a Dataverse share": add_callers(
            build_tenant_seed(build_orders_seed(), assumptions={"shares_let_people_ask": False}),
            [ORDERS],
        ),
        "one self-starting flow": build_tenant_seed(daily),
        "two dependent called flows": build_tenant_seed(child, parent),
        f"each of {MANY} called flows, a caller each": build_many_flows(MANY),
    }


def read_table() -> dict[str, dict[str, int]]:
    """Return for each row of the table in docs/performance.md the number of requests by service."""
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    section = text.partition("## Calls for each flow")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|((?: \d+ \|)+)$", section, re.MULTILINE)
    return {
        name: dict(zip(SERVICES, map(int, re.findall(r"\d+", cells)), strict=True))
        for name, cells in rows
    }


async def count_requests(scenario: WireScenario, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Migrate the flows, and return the requests to each service from the approval until all are
    retired.

    Requests of the search for callers are not included: they grow with the number of caller kinds,
    and test_requests_of_caller_search.py counts them.
    """
    searching = Counter[str]()

    def count() -> Counter[str]:
        return Counter(count_by_service(scenario.tenant.calls.capabilities))

    async def search_and_count(*arguments: Any) -> CallerSearchProgress:
        before = count()
        try:
            return await search_caller_kind(*arguments)
        finally:
            searching.update(count() - before)

    settings = EnvironmentSettings(
        environment_id=ENVIRONMENT, approval_policy=ApprovalPolicy.REQUIRED, max_flows=PLENTY
    )
    await scenario.services.tables.environment_settings.upsert(settings)
    await scenario.order(run=SHORT)
    scenario.tenant.calls.reset()
    monkeypatch.setattr(find_callers, "search_caller_kind", search_and_count)
    await approve_shown(scenario.services, scenario.remediation.id)
    await scenario.run(timedelta(days=40))

    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
    return {service: number - searching[service] for service, number in count().items()}


@pytest.mark.parametrize("name", build_seeds())
async def test_flow_needs_the_documented_number_of_requests(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The numbers in docs/performance.md are upper limits, at most `SLACK` too high."""
    async with serve_wire_scenario(monkeypatch, tmp_path, build_seeds()[name]) as scenario:
        calls = await count_requests(scenario, monkeypatch)

    flows = MANY if name.startswith("each") else 1
    each = {service: -(-calls[service] // flows) for service in SERVICES}
    told = read_table()[name]
    assert all(each[one] <= told[one] <= each[one] + SLACK for one in SERVICES), f"{each} {told}"


async def test_script_needs_the_documented_number_of_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenant = Tenant()
    seed(tenant, build_many_flows(1, coOwners={OPERATOR: "CanEdit"}))
    async with TenantServer(tenant) as server:
        monkeypatch.setenv("HTTPS_PROXY", server.proxy_url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca_file)
        monkeypatch.setenv("IDENTITY_ENDPOINT", server.identity_endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", server.identity_header)

        async with open_script_client() as hand:
            await hand.migrate(build_flow_ids(1)[0], build_site_id(0))

    told = read_table()["one called flow, a caller, by a script"]
    assert told == count_by_service(tenant.calls.capabilities)
