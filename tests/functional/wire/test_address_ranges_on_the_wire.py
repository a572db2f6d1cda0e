from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from shared.adapters.azure.service_tags import DiscoveredServiceTags
from shared.domain.network.service_tags import ServiceTagList
from shared.use_cases.record_address_ranges import list_known_versions
from shared.use_cases.run_daily_check import run_daily_check
from tests.functional.wire.wire_scenario import WireScenario, require_retired, serve_wire_scenario
from tests.functional.wire.wire_seed import SUBSCRIPTION, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import HTTP, build_definition, build_http_action

HOST = "api.contoso.example"
WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
SITE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Web/sites/orders-api"
DAY = 86_400


def build_web_app(*prefixes: str) -> dict[str, Any]:
    rules = [
        {"ipAddress": prefix, "priority": number, "action": "Allow", "name": prefix}
        for number, prefix in enumerate(prefixes, start=100)
    ]
    return {"sites": [{"id": SITE, "hostNames": [HOST], "web": {"ipSecurityRestrictions": rules}}]}


def get_prefixes(tags: ServiceTagList, name: str) -> tuple[str, ...]:
    found = tags.find(name)
    assert found is not None
    return found.prefixes


async def run_next_daily_check(scenario: WireScenario, date: str) -> None:
    scenario.tenant.clock.advance(DAY)
    await run_daily_check(scenario.services, date)


async def test_changed_service_tags_raise_an_alert(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flow = build_orders_seed(
        definition=build_definition(HTTP, build_http_action(f"https://{HOST}/orders"))
    )
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant_seed(flow)) as scenario:
        assert isinstance(scenario.services.service_tags, DiscoveredServiceTags)
        tags = await scenario.services.service_tags.get_list()
        known = [one for name in (NORTH, WEST) for one in get_prefixes(tags, name)]
        seed_azure(scenario.tenant, build_web_app(*known))
        await scenario.order()
        await require_retired(scenario)
        await run_next_daily_check(scenario, "day-1")
        changed = {"name": WEST, "addressPrefixes": [*get_prefixes(tags, WEST), "203.0.113.0/24"]}
        more = {"serviceTags": [changed], "serviceTagsChangeNumber": tags.change_number + 1}
        seed_azure(scenario.tenant, more)
        await run_next_daily_check(scenario, "day-2")

        [edition, first] = await list_known_versions(scenario.services)
        [notice] = await scenario.services.tables.alerts.read_all("alert")

    assert first.change_number == tags.change_number > 0
    assert edition.change_number == tags.change_number + 1
    assert [(one.region, one.added, one.removed) for one in edition.changes] == [
        ("WestEurope", ("203.0.113.0/24",), ())
    ]
    assert [one.name for one in edition.affected_firewalls] == ["orders-api"]
    assert [(one.remediation_id, one.flow_count) for one in edition.affected_remediations] == [
        (scenario.remediation.id, 1)
    ]
    assert "203.0.113.0/24" in notice.message
