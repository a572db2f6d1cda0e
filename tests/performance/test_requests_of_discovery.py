"""Test how many requests to the platform a discovery needs, counted over TLS."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.seed.environment import seed_flow
from shared.domain.environment import Environment
from shared.domain.plans.discovery import DiscoveryPage
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.errors import ServiceUnavailable
from shared.jobs.fenced_rows import FencedRows
from shared.services import Services
from shared.steps.planning.discover_flows import discover_flows, read_flows_still_to_move
from shared.steps.planning.make_plan import make_plan
from shared.steps.updating_callers.find_callers import CallerSearchRequest, find_callers
from tests.contract.adapter_world import Adapters, run_adapters
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_fake_services, build_kinds
from tests.fakes.world import World
from tests.kinds.cases import CALLER_KINDS, load_caller_case
from tests.local_cloud.tenant.tenant_world import (
    BUTTON,
    ENVIRONMENT,
    HTTP,
    MAKER,
    build_child_action,
    build_definition,
)
from tests.performance.large_environment import FLOWS, HELD_BACK, build_flow_id

#: Reports, definitions and plan; reading trigger URLs is counted apart.
MOST_CALLS_WITHOUT_SEARCH = 23
#: The search for callers of each kind.
MOST_CALLS = MOST_CALLS_WITHOUT_SEARCH + sum(
    load_caller_case(kind).requests.standard for kind in CALLER_KINDS
)
#: Held-back flows that Dataverse does not have: each takes a call of its own.
OUTSIDE = 7
PAGES = "dataverse.list_workflows"
LISTS = "flow_service.admin_list_flows"
JOB = EnvironmentJob(
    id="job", remediation_id="remediation", environment_id=ENVIRONMENT, mode=RemediationMode.APPLY
)


def _add_flows(platform: Adapters) -> None:
    """Add 10,000 flows in solutions, and a few outside."""
    world = platform.world
    already = len(world.environment.flows)
    parents = HELD_BACK // 10
    children = HELD_BACK - parents
    for number in range(FLOWS - already):
        if number < children:
            content = build_definition(HTTP)
        elif number < children + parents:
            content = build_definition(BUTTON, build_child_action(build_flow_id(number - children)))
        else:
            content = build_definition(BUTTON)
        _add_flow(platform, number, content, in_solution=True)
    for number in range(FLOWS, FLOWS + OUTSIDE):
        _add_flow(platform, number, build_definition(HTTP), in_solution=False)
    world.platform.assumptions.my_flows_have_rows = False


def _add_flow(platform: Adapters, number: int, content: object, *, in_solution: bool) -> None:
    seed_flow(
        platform.world.tenant,
        platform.world.environment,
        {
            "workflowEntityId": build_flow_id(number),
            "displayName": f"Flow {number}",
            "definition": content,
            "owner": MAKER,
            "inSolution": in_solution,
        },
    )


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Adapters]:
    async with run_adapters(monkeypatch) as platform:
        _add_flows(platform)
        yield platform


def _build_services(platform: Adapters) -> Services:
    return replace(
        build_fake_services(build_fakes(World()).ports),
        environments=platform.environments,
        flow_reports=platform.flow_reports,
        flow_pages=platform.flow_pages,
        workflows=platform.workflows,
        callers=build_kinds(platform),
    )


def build_discovery_rows(services: Services) -> FencedRows[DiscoveryPage]:
    """Return the stored pages of the job's discovery."""
    return FencedRows(services.tables.discovery_pages, JOB.id)


async def _run_to_plan(services: Services, environment: Environment) -> list[PlanItem]:
    rows = build_discovery_rows(services)
    assert not await read_flows_still_to_move(services, environment.id, rows)
    found = await discover_flows(services, environment, rows)
    request = CallerSearchRequest(
        environment=environment,
        everywhere=await services.environments.list(),
        is_home_read=True,
    )
    findings = await find_callers(
        services, request, FencedRows(services.tables.caller_searches, JOB.id)
    )
    assert findings == []
    items, _ = await make_plan(services, JOB, found)
    return items


async def test_managed_flows_are_listed_with_one_request(platform: Adapters) -> None:
    environment = await platform.read_environment()
    managed = list(platform.world.environment.order)[100:103]
    for flow in managed:
        flow.is_managed = True
    platform.world.tenant.calls.reset()

    found = [row async for row in platform.workflows.list(environment, managed_only=True)]

    assert {row.workflow_id for row in found} == {flow.workflow_entity_id for flow in managed}
    assert platform.world.tenant.calls.routes["dataverse.list_workflows"] == 1


async def test_plan_of_10000_flows_needs_few_requests(platform: Adapters) -> None:
    await platform.world.migrate()
    environment = await platform.read_environment()
    services = _build_services(platform)
    calls = platform.world.tenant.calls
    calls.reset()

    items = await _run_to_plan(services, environment)

    alone = calls.routes.pop("flow_service.admin_get_flow")
    counted = Counter({route: n for route, n in calls.routes.items() if _is_platform(route)})
    assert len(items) >= HELD_BACK
    assert alone == sum(1 for item in items if not item.in_solution)
    assert counted.total() <= MOST_CALLS, counted
    assert counted.total() * 100 <= FLOWS, "one flow at a time takes a call for each"


@pytest.mark.parametrize("read", [7, 19])
async def test_resumed_discovery_reads_only_the_remaining_pages(
    platform: Adapters, read: int
) -> None:
    await platform.world.migrate()
    environment = await platform.read_environment()
    services = _build_services(platform)
    tenant = platform.world.tenant
    tenant.faults.add(Fault(route=PAGES, kind=FaultKind.DROP_BEFORE, skip=read, times=None))
    with pytest.raises(ServiceUnavailable):
        await discover_flows(services, environment, build_discovery_rows(services))
    tenant.faults.clear()
    tenant.calls.reset()

    found = await discover_flows(services, environment, build_discovery_rows(services))

    assert tenant.calls.routes[PAGES] == FLOWS // 500 - read
    assert tenant.calls.routes["flow_service.admin_list_flows_on_microsoft_key"] == 0
    assert len(found.flows_on_microsoft_key) >= HELD_BACK


async def test_comparison_of_all_flows_needs_one_request_per_page(platform: Adapters) -> None:
    await platform.world.migrate()
    environment = await platform.read_environment()
    services = _build_services(platform)
    calls = platform.world.tenant.calls
    calls.reset()
    found = await discover_flows(services, environment, build_discovery_rows(services))
    assert (calls.routes[LISTS], found.findings) == (0, ())

    reconciled = await discover_flows(
        services, environment, build_discovery_rows(services), reconcile=True
    )

    size = platform.world.platform.assumptions.flow_page
    assert calls.routes[LISTS] == -(-len(platform.world.environment.flows) // size)
    assert calls.routes[PAGES] == FLOWS // 500, "what was read of Dataverse is not read again"
    (difference,) = reconciled.findings
    assert "in the flow service, but not in Dataverse" in difference


def _is_platform(route: str) -> bool:
    """Return whether a request is for data, and not for an access token."""
    return not route.startswith(("entra.", "managed_identity."))
