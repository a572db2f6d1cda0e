"""The network as Azure answers it, kept in an archive as a folder keeps it."""

from pathlib import Path

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.network.network_check import FLOW_TAGS
from shared.domain.network.snapshot import build_snapshot
from shared.steps.flows.check_network import read_firewalls, read_network
from shared.steps.flows.network_snapshot import NetworkReading
from tests.functional.wire.test_ranges_on_the_wire import HOST, NORTH, WEST, let_in, prefixes_of
from tests.functional.wire.wire_scenario import SHORT, WireScenario, retired, wire_scenario
from tests.functional.wire.wire_seed import flow_seed, orders, tenant_seed
from tests.kinds.cases import FIREWALL_KINDS, firewall_case
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP, definition, http_action

LIST_TAGS = "resource_manager.list_service_tags"
CALLING = definition(HTTP, http_action(f"https://{HOST}/orders"))


async def let_new_addresses_in(scenario: WireScenario) -> None:
    """Open the app that the flows call."""
    tags = await scenario.services.service_tags.get_list()
    seed_azure(
        scenario.tenant, let_in(*(one for name in (NORTH, WEST) for one in prefixes_of(tags, name)))
    )


async def test_flows_are_proven_by_what_their_plan_has_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Three copies are verified with the service tag list that the plan has read."""
    ids = [f"f0000000-0000-4000-8000-00000000000{number}" for number in range(3)]
    flows = [flow_seed(one, f"Flow {one[-1]}", CALLING) for one in ids]
    async with wire_scenario(monkeypatch, tmp_path, tenant_seed(*flows)) as scenario:
        await let_new_addresses_in(scenario)
        scenario.tenant.calls.reset()

        await scenario.order(run=SHORT)

        assert {job.step for job in (await scenario.jobs()).values()} == {
            FlowJobState.CHECKING_FOR_CALLS
        }
        assert scenario.tenant.calls.routes[LIST_TAGS] == 1
        assert scenario.tenant.calls.routes["resource_manager.list_network_security_groups"] == 1


async def test_a_firewall_that_was_opened_lets_the_retry_through_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The retry reads the firewall again, although it was read a moment ago."""
    async with wire_scenario(
        monkeypatch, tmp_path, tenant_seed(orders(definition=CALLING))
    ) as scenario:
        seed_azure(scenario.tenant, let_in("20.1.0.0/24", "LogicApps"))
        await scenario.order(run=SHORT)
        blocked = await scenario.job()
        await let_new_addresses_in(scenario)

        await scenario.retry()

        assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "firewall_denies")
        assert "orders-api" in blocked.message
        await retired(scenario)


async def test_firewalls_of_every_kind_are_kept_as_they_were_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The archive keeps the firewalls and the service tags of the discovery API."""
    async with wire_scenario(monkeypatch, tmp_path, tenant_seed(orders())) as scenario:
        services = scenario.services
        tags = await services.service_tags.get_list()
        for kind in FIREWALL_KINDS:
            case = firewall_case(kind)
            seed_azure(scenario.tenant, case.seed(case.sources(FLOW_TAGS, tags)))
        await read_network(services, await services.environments.get(ENVIRONMENT), [HOST])

        firewalls = await read_firewalls(services)

        assert {one.kind for one in firewalls} == {*FIREWALL_KINDS}
        assert await NetworkReading(services).cached() == build_snapshot(firewalls, tags)
