from pathlib import Path

import pytest

from local_cloud.tenant.seed.azure import seed_azure
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.network.network_check import FLOW_TAGS
from shared.domain.network.snapshot import build_network_snapshot
from shared.steps.flows.check_network import read_firewalls, read_network
from shared.steps.flows.network_snapshot import NetworkReading
from tests.functional.wire.test_address_ranges_on_the_wire import (
    HOST,
    NORTH,
    WEST,
    build_web_app,
    get_prefixes,
)
from tests.functional.wire.wire_scenario import (
    SHORT,
    WireScenario,
    require_retired,
    serve_wire_scenario,
)
from tests.functional.wire.wire_seed import build_flow_seed, build_orders_seed, build_tenant_seed
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.local_cloud.tenant.tenant_world import (
    ENVIRONMENT,
    HTTP,
    build_definition,
    build_http_action,
)

LIST_TAGS = "resource_manager.list_service_tags"
CALLING = build_definition(HTTP, build_http_action(f"https://{HOST}/orders"))


async def allow_new_addresses(scenario: WireScenario) -> None:
    tags = await scenario.services.service_tags.get_list()
    seed_azure(
        scenario.tenant,
        build_web_app(*(one for name in (NORTH, WEST) for one in get_prefixes(tags, name))),
    )


async def test_copies_are_verified_with_the_service_tags_that_the_plan_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = [f"f0000000-0000-4000-8000-00000000000{number}" for number in range(3)]
    flows = [build_flow_seed(one, f"Flow {one[-1]}", CALLING) for one in ids]
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant_seed(*flows)) as scenario:
        await allow_new_addresses(scenario)
        scenario.tenant.calls.reset()

        await scenario.order(run=SHORT)

        assert {job.step for job in (await scenario.read_jobs()).values()} == {
            FlowJobState.CHECKING_FOR_CALLS
        }
        assert scenario.tenant.calls.routes[LIST_TAGS] == 1
        assert scenario.tenant.calls.routes["resource_manager.list_network_security_groups"] == 1


async def test_retry_after_a_firewall_fix_reads_the_firewall_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed(definition=CALLING))
    ) as scenario:
        seed_azure(scenario.tenant, build_web_app("20.1.0.0/24", "LogicApps"))
        await scenario.order(run=SHORT)
        blocked = await scenario.read_job()
        await allow_new_addresses(scenario)

        await scenario.retry()

        assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "firewall_denies")
        assert "orders-api" in blocked.message
        await require_retired(scenario)


async def test_snapshot_keeps_firewalls_of_every_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serve_wire_scenario(
        monkeypatch, tmp_path, build_tenant_seed(build_orders_seed())
    ) as scenario:
        services = scenario.services
        tags = await services.service_tags.get_list()
        for kind in FIREWALL_KINDS:
            case = load_firewall_case(kind)
            seed_azure(scenario.tenant, case.seed(case.build_sources(FLOW_TAGS, tags)))
        await read_network(services, await services.environments.get(ENVIRONMENT), [HOST])

        firewalls = await read_firewalls(services)

        assert {one.kind for one in firewalls} == {*FIREWALL_KINDS}
        assert await NetworkReading(services).read_cached() == build_network_snapshot(
            firewalls, tags
        )
