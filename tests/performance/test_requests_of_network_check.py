"""Test how many requests to Azure Resource Manager the network check needs per flow."""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from shared.domain.network.firewall import Firewall, RuleAction
from shared.domain.network.network_check import FLOW_TAGS, NetworkCheck
from shared.domain.network.service_tags import ServiceTag, ServiceTagList
from shared.firewalls import build_firewall_kinds
from shared.ports import PagedResourceReader, ResultPage, ServiceTags
from shared.resumable_resources import ResumableResources
from shared.settings import Settings
from shared.steps.flows.check_network import find_blocking_issues
from tests.fakes.builder import Builder
from tests.fakes.ports import build_fakes
from tests.fakes.resource_reader import FakeResourceReader
from tests.fakes.services import build_fake_services
from tests.fakes.world import World
from tests.kinds.case import HOST
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.performance.operation_count import count_operations
from tests.performance.test_requests_per_flow import read_table

PREFIX = "20.61.88.128/26"
#: What a proof with no reading to share calls, at least: two for each kind.
FEWEST_ALONE = 20
#: At the default budgets, and where the flow service holds up nobody.
MOST = {30: (0.95, 0.95), 100: (0.6, 0.3), 300: (0.6, 0.1)}


@dataclass(slots=True)
class Counted(PagedResourceReader, ServiceTags):
    """A reader of Azure resources and of the service tag list that counts its requests."""

    resources: PagedResourceReader
    tags: ServiceTags
    calls: int = 0

    async def list(
        self, resource_type: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        self.calls += 1
        return await self.resources.list(resource_type, api_version)

    async def get(
        self, resource_id: str, api_version: str, suffix: str = ""
    ) -> Mapping[str, object]:
        self.calls += 1
        return await self.resources.get(resource_id, api_version, suffix)

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> builtins.list[Mapping[str, object]]:
        self.calls += 1
        return await self.resources.list_children(resource_id, collection, api_version)

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        self.calls += 1
        return await self.resources.list_page(resource_type, api_version, cursor)

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Mapping[str, object]]:
        self.calls += 1
        return await self.resources.read_children_page(resource_id, collection, api_version, cursor)

    async def get_list(self) -> ServiceTagList:
        self.calls += 1
        return await self.tags.get_list()


async def count_requests_to_verify(flows: int, apart: timedelta) -> int:
    """Check the network for this number of flows, `apart` in time.

    Return the number of requests.
    """
    world = World()
    environment_id = Builder(world).environment.id
    for tag in FLOW_TAGS:
        world.service_tags |= {tag: [PREFIX], f"{tag}.westeurope": [PREFIX]}
    fakes = build_fakes(world)
    listed = await fakes.ports.service_tags.get_list()
    for kind in FIREWALL_KINDS:
        case = load_firewall_case(kind)
        resources = case.resources(case.build_sources(FLOW_TAGS, listed))
        world.resources |= {path.lower(): one for path, one in resources.items()}
    counted = Counted(FakeResourceReader(world), fakes.ports.service_tags)
    for _ in range(flows):
        services = replace(
            build_fake_services(fakes.ports),
            firewalls=build_firewall_kinds(ResumableResources(counted)),
            service_tags=counted,
        )
        environment = await services.environments.get(environment_id)
        assert await find_blocking_issues(services, environment, [HOST], ()) == []
        world.clock.advance(apart)
    return counted.calls


@pytest.mark.parametrize("flows", MOST)
async def test_network_check_needs_less_than_one_request_per_flow(flows: int) -> None:
    calls = read_table()["each of 50 called flows, a caller each"]["flow_service"]
    apart = timedelta(minutes=calls / Settings(tenant_id="fakes").flow_service_requests_per_minute)

    counted = [
        await count_requests_to_verify(flows, one) / flows for one in (apart, timedelta(seconds=1))
    ]

    assert await count_requests_to_verify(1, apart) >= FEWEST_ALONE
    assert all(one <= most for one, most in zip(counted, MOST[flows], strict=True)), counted


def test_cost_of_a_network_check_does_not_grow_with_other_firewalls() -> None:
    def measure_operations(apps: int) -> int:
        walls = [
            Firewall(
                kind="app_service",
                id=f"/sites/{number}",
                name=f"app-{number}",
                hosts=frozenset({f"app-{number}.contoso.example"}),
                rules=(),
                default=RuleAction.ALLOW,
            )
            for number in range(apps)
        ]
        tag = ServiceTag(name="PowerPlatformPlex.WestEurope", prefixes=("20.1.0.0/24",))
        check = NetworkCheck(walls, "europe", ServiceTagList([tag]))
        hosts = ["app-3.contoso.example", "elsewhere.example", None]
        assert check.find_issues(hosts) == check.find_issues(hosts)
        return count_operations(lambda: check.find_issues(hosts))

    assert measure_operations(1_000) == measure_operations(10)
