"""Test discoveries that take longer than the cursors of their lists are valid."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.plans import discovery
from shared.errors import ServiceUnavailable, ThrottledError
from shared.steps.planning.discover_flows import discover_flows
from shared.use_cases.run_daily_check import run_daily_check
from tests.functional.planning.test_discovery_resumed import open_rows
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples

LONGEST = timedelta(hours=3)
APART = timedelta(minutes=20)


@dataclass(slots=True)
class Rationed:
    """Limits the requests for lists of flows in each invocation."""

    malformed: set[int]
    left: int = 0
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def wrap_port(self, port: Any) -> Any:
        return _Rationed(self, port)

    def take(self, name: str, arguments: tuple[object, ...]) -> None:
        if self.left == 0:
            raise ThrottledError
        self.left -= 1
        if sum(self.asked.values()) in self.malformed:
            self.malformed.remove(sum(self.asked.values()))
            raise ServiceUnavailable("the answer holds no list")
        self.asked[name, str(arguments[-1])] += 1


class _Rationed:
    def __init__(self, rationed: Rationed, port: Any) -> None:
        self._rationed, self._port = rationed, port

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        async def count_and_call(*arguments: Any, **named: Any) -> Any:
            self._rationed.take(name, arguments)
            return await method(*arguments, **named)

        return count_and_call


@settings(max_examples=count_examples(30))
@given(
    flows=st.integers(1, 12),
    page=st.integers(1, 12),
    calls=st.integers(1, 4),
    without_row=st.integers(0, 12),
    malformed=st.sets(st.integers(0, 12), max_size=3),
    reconcile=st.booleans(),
)
@example(flows=12, page=1, calls=1, without_row=12, malformed=set(), reconcile=True)
def test_long_discovery_ends_and_finds_every_flow(
    flows: int, page: int, calls: int, without_row: int, malformed: set[int], *, reconcile: bool
) -> None:
    async def play() -> None:
        scenario, rationed = Scenario(), Rationed(set(malformed))
        scenario.world.assumptions.my_flows_have_rows = False
        for number in range(flows):
            scenario.build.add_http_flow(f"Flow {number}").in_solution = number >= without_row
        scenario.build.apply_key()
        scenario.world.report_page = page
        environment = await scenario.services.environments.get(scenario.build.environment.id)
        for turn in range(200):
            services = replace(
                scenario.services,
                flow_reports=rationed.wrap_port(scenario.services.flow_reports),
                flow_pages=rationed.wrap_port(scenario.services.flow_pages),
            )
            rationed.left = calls
            try:
                found = await discover_flows(
                    services, environment, open_rows(services, turn + 1), reconcile=reconcile
                )
                break
            except ServiceUnavailable:
                scenario.world.clock.advance(timedelta(minutes=1))
            except ThrottledError:
                scenario.world.clock.advance(APART)
                if turn % 10 == 5:
                    await run_daily_check(scenario.services, f"day {turn}")
        else:
            raise AssertionError(rationed.asked)

        assert len(found.flows_on_microsoft_key) == flows
        alone = [times for (name, _), times in rationed.asked.items() if name == "get_flow"]
        assert all(times == 1 for times in alone)
        hours = (turn * APART) / LONGEST
        assert max(rationed.asked.values()) <= 1 + hours

    with (
        patch.object(discovery, "LONGEST", LONGEST),
        patch.object(discovery, "REFRESH_TAKES", LONGEST / 4),
    ):
        asyncio.run(play())
