"""Test the daily check that searches the flow service's list for retired originals."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.environment import Environment
from shared.domain.flow import FlowListEntry, FlowState
from shared.errors import PlatformError, ThrottledError
from shared.ports import ResultPage
from shared.services import Services
from shared.use_cases.check_in_flow_list import check_originals_in_flow_list
from tests.functional.scenarios.remediation_scenario import Scenario


class KilledError(BaseException):
    """The process was killed."""


@dataclass(slots=True)
class Service:
    """A flow service with a daily request limit. If `is_bare`, its list does not show the states of
    flows.
    """

    pages: list[tuple[str, ...]]
    is_bare: bool
    refused: frozenset[str]
    calls: int = 0
    dies_at: int = 0
    expired: bool = False
    #: A page number whose page names page 1 as the following one.
    repeats_after: int | None = None
    read: list[str] = field(default_factory=list)

    async def read_flows(self, _: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        self._take()
        if cursor and self.expired:
            raise PlatformError("the cursor has expired", code="BadRequest", status=400)
        self.read.append(cursor)
        number = int(cursor or 0)
        following = str(number + 1) if number + 1 < len(self.pages) else ""
        if number == self.repeats_after:
            following = "1"
        return ResultPage(items=tuple(map(self._build_entry, self.pages[number])), cursor=following)

    async def get_flow(self, _: str, flow_name: str) -> FlowListEntry:
        self._take()
        if flow_name in self.refused:
            raise PlatformError("no access", code="Forbidden", status=403)
        return replace(self._build_entry(flow_name), state=FlowState.ON)

    def _build_entry(self, name: str) -> FlowListEntry:
        state = None if self.is_bare else FlowState.ON
        return FlowListEntry(flow_name=name, display_name=name, workflow_id=None, state=state)

    def _take(self) -> None:
        self.calls -= 1
        self.dies_at -= 1
        if self.dies_at == 0:
            raise KilledError
        if self.calls < 0:
            raise ThrottledError("used up")


async def _run_check(
    services: Services, environment: Environment, names: frozenset[str], seen: set[str]
) -> int:
    async def record_name(name: str) -> None:
        seen.add(name)

    return await check_originals_in_flow_list(
        services, environment, {name: name for name in names}, record_name
    )


async def _check_daily(service: Service, calls: int, expires: set[int], deaths: list[int]) -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    environment = await scenario.services.environments.get(scenario.build.environment.id)
    double: Any = service
    services = replace(scenario.services, flow_pages=double, flow_reports=double)
    names = frozenset(name for page in service.pages for name in page) | {"deleted"}
    seen = set[str]()
    turns = len(service.pages) + (len(names) if service.is_bare else 0)
    days = 2 * -(-turns // calls) + len(deaths) + len(expires) * (1 + -(-turns // calls))
    for day in range(days + 1):
        service.calls, service.expired = calls, day in expires
        service.dies_at = deaths[day] if day < len(deaths) else 0
        service.read = []
        try:
            missed = await _run_check(services, environment, names, seen)
        except KilledError:
            continue
        assert missed <= len(names)
        if not service.is_bare:
            assert missed in {0, len(names) - len(_list_names(service, service.read))}
    assert seen == names - {"deleted"} - (service.refused if service.is_bare else frozenset())


def _list_names(service: Service, cursors: list[str]) -> set[str]:
    return {name for cursor in cursors for name in service.pages[int(cursor or 0)]}


@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=8),
    calls=st.integers(1, 6),
    is_bare=st.booleans(),
    refused=st.frozensets(st.integers(0, 20).map(lambda n: f"flow-{n:02}"), max_size=3),
    expires=st.sets(st.integers(0, 6), max_size=2),
    deaths=st.lists(st.integers(1, 4), max_size=3),
)
def test_daily_check_reads_each_flow_of_the_list_in_turn(
    sizes: list[int],
    calls: int,
    is_bare: bool,
    refused: frozenset[str],
    expires: set[int],
    deaths: list[int],
) -> None:
    names = iter(f"flow-{n:02}" for n in range(sum(sizes)))
    pages = [tuple(next(names) for _ in range(size)) for size in sizes]
    service = Service(pages=pages, is_bare=is_bare, refused=refused)
    asyncio.run(_check_daily(service, max(calls, 2) if is_bare else calls, expires, deaths))


async def test_daily_check_of_a_list_that_repeats_its_pages_ends() -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    environment = await scenario.services.environments.get(scenario.build.environment.id)
    pages: list[tuple[str, ...]] = [("a",), ("b",), ("c",), ("d",)]
    service = Service(pages=pages, is_bare=False, refused=frozenset(), repeats_after=2)
    double: Any = service
    services = replace(scenario.services, flow_pages=double, flow_reports=double)
    service.calls, seen = 100, set[str]()

    missed = await _run_check(services, environment, frozenset("abcd"), seen)

    assert (missed, seen, service.read) == (1, set("abc"), ["", "1", "2"])
    service.repeats_after = None
    assert await _run_check(services, environment, frozenset("abcd"), seen) == 0
    assert seen == set("abcd")
