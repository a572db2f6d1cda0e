import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.flow import FlowState
from shared.errors import CmkflowError, PlatformError, ThrottledError
from shared.services import Services
from shared.steps.flows.flow_names import read_flow_name
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples


@dataclass(slots=True)
class Rationed:
    """Limits the requests to the flow service in each invocation."""

    expires: set[int] = field(default_factory=set)
    left: int = 0
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    _cursors: int = 0

    def wrap_methods(self, port: Any, *names: str) -> Any:
        return _Rationed(self, port, names)

    def take(self, name: str, last: str) -> None:
        if self.left == 0:
            raise ThrottledError
        self.left -= 1
        if name == "flows" and last.isdigit():
            self._cursors += 1
            if self._cursors in self.expires:
                self.asked = Counter({one: n for one, n in self.asked.items() if one[0] != "flows"})
                raise PlatformError("the cursor has expired", code="Expired", status=400)
        self.asked[name, last] += 1


class _Rationed:
    def __init__(self, rationed: Rationed, port: Any, names: tuple[str, ...]) -> None:
        self._rationed, self._port, self._names = rationed, port, names

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name not in self._names:
            return method

        async def count_and_call(*arguments: Any) -> Any:
            self._rationed.take(name, str(arguments[-1]))
            return await method(*arguments)

        return count_and_call


class _Unnamed:
    """A Dataverse whose rows do not lead to the flow's name."""

    def __init__(self, workflows: Any, unique_id: str) -> None:
        self._workflows, self._unique_id = workflows, unique_id

    async def get(self, environment: Any, workflow_id: str) -> Any:
        row = await self._workflows.get(environment, workflow_id)
        return replace(row, unique_id=self._unique_id)


def _build_services(
    scenario: Scenario, service: Rationed, unique_id: str | None = None
) -> Services:
    services = scenario.services
    workflows: Any = services.workflows
    if unique_id is not None:
        workflows = _Unnamed(workflows, unique_id)
    return replace(
        services,
        workflows=workflows,
        flow_reports=service.wrap_methods(services.flow_reports, "get_flow"),
        flow_pages=service.wrap_methods(services.flow_pages, "flows"),
    )


def _build_scenario(flows: int) -> tuple[Scenario, list[FakeFlow]]:
    scenario = Scenario()
    made = [scenario.build.add_http_flow(f"Flow {number}") for number in range(flows)]
    scenario.build.apply_key()
    assert all(flow.flow_name != flow.workflow_id for flow in made)
    return scenario, made


@settings(max_examples=count_examples(40))
@given(
    flows=st.integers(1, 12),
    wanted=st.integers(0, 11),
    page=st.integers(1, 12),
    calls=st.integers(3, 6),
    unique_id=st.sampled_from(["", "another"]),
    expires=st.sets(st.integers(1, 8), max_size=2),
)
@example(flows=12, wanted=11, page=1, calls=3, unique_id="another", expires=set())
def test_name_that_only_the_list_contains_is_found(
    flows: int, wanted: int, page: int, calls: int, unique_id: str, expires: set[int]
) -> None:
    async def play() -> None:
        scenario, made = _build_scenario(flows)
        scenario.world.report_page = page
        flow = made[wanted % flows]
        service = Rationed(set(expires))
        for _ in range(2 + (1 + len(expires)) * flows + len(expires)):
            services = _build_services(scenario, service, unique_id)
            service.left = calls
            try:
                name = await read_flow_name(services, flow.environment_id, flow.workflow_id)
                break
            except CmkflowError:
                continue
        else:
            raise AssertionError(service.asked)
        assert name == flow.flow_name
        pages = [times for (one, _), times in service.asked.items() if one == "flows"]
        assert all(times == 1 for times in pages)
        assert await services.tables.discovery_pages.read_all() == []

    asyncio.run(play())


async def test_name_is_read_with_two_requests_for_any_number_of_flows() -> None:
    """Dataverse returns the name, and the flow service confirms it."""
    scenario, made = _build_scenario(300)
    flow, service = made[-1], Rationed(left=4)
    services = _build_services(scenario, service)

    name = await read_flow_name(services, flow.environment_id, flow.workflow_id)
    other = await read_flow_name(
        services, flow.environment_id, flow.workflow_id, state=FlowState.SUSPENDED
    )

    assert (name, other) == (flow.flow_name, None)
    assert sum(service.asked.values()) == 4
    assert all(one == "get_flow" for one, _ in service.asked)


async def test_missing_flow_has_no_name() -> None:
    scenario, made = _build_scenario(3)
    service = Rationed(left=100)
    services = _build_services(scenario, service)

    assert await read_flow_name(services, made[0].environment_id, "nobody") is None
    assert await services.tables.discovery_pages.read_all() == []
