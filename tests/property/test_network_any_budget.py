import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import CmkflowError, NotFound, PlatformError, ServiceUnavailable, ThrottledError
from shared.firewalls import build_firewall_kinds
from shared.ports import PagedResourceReader, ResultPage
from shared.resumable_resources import ResumableResources
from shared.services import Services
from shared.steps.flows import network_snapshot
from shared.steps.flows.check_network import ANY_HOST, find_blocking_issues, read_network
from shared.steps.flows.network_snapshot import NetworkReading
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples

type Document = Mapping[str, object]

SITES = "Microsoft.Web/sites"
BATCH = 3


class KilledError(BaseException):
    """The process was killed."""


@dataclass(slots=True)
class Rationed(PagedResourceReader):
    """A resource reader with a limit of requests."""

    apps: int
    page_size: int
    #: Requests with a cursor, counted from 1, that are refused.
    expires: frozenset[int] = frozenset()
    #: Pages that are malformed the first time.
    malformed: set[str] = field(default_factory=set)
    #: Apps that are deleted between the list and their turn.
    gone: frozenset[int] = frozenset()
    left: int = 0
    dies_in: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    _cursors: int = 0

    async def list(self, resource_type: str, api_version: str) -> list[Document]:
        """Raise an error: a read that can be resumed requests pages."""
        raise NotImplementedError

    async def list_children(
        self, resource_id: str, collection: str, api_version: str
    ) -> "list[Document]":  # type: ignore[valid-type]
        """Raise an error: a read that can be resumed requests pages."""
        raise NotImplementedError

    async def read_children_page(
        self, resource_id: str, collection: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Document]:
        raise NotImplementedError

    async def list_page(
        self, resource_type: str, api_version: str, cursor: str = ""
    ) -> ResultPage[Document]:
        name = f"{resource_type} {cursor}"
        self._take(name)
        self._cursors += bool(cursor)
        if cursor and self._cursors in self.expires:
            self.asked.clear()
            raise PlatformError("the cursor has expired", code="Expired", status=410)
        if name in self.malformed:
            self.malformed.remove(name)
            self.asked[name] -= 1
            raise ServiceUnavailable("the answer holds no list")
        if resource_type != SITES:
            return ResultPage(items=(), cursor="")
        first = int(cursor or 0)
        end = first + self.page_size
        items = tuple(map(_build_site, range(first, min(end, self.apps))))
        return ResultPage(items=items, cursor=str(end) if end < self.apps else "")

    async def get(self, resource_id: str, api_version: str, suffix: str = "") -> Document:
        self._take(resource_id)
        await asyncio.sleep(0)
        if int(resource_id.rpartition("-")[2]) in self.gone:
            raise NotFound("it was deleted")
        return {"properties": {"ipSecurityRestrictions": []}}

    def _take(self, name: str) -> None:
        self.dies_in -= 1
        if self.dies_in == 0:
            raise KilledError
        if self.left == 0:
            raise ThrottledError("used up", retry_after=timedelta(minutes=1))
        self.left -= 1
        self.asked[name] += 1


def _build_site(number: int) -> Document:
    name = f"app-{number}"
    host = f"{name}.contoso.example"
    return {"id": f"/sites/{name}", "name": name, "properties": {"hostNames": [host]}}


def _build_services(scenario: Scenario, azure: Rationed) -> Services:
    scenario.renew()
    return replace(
        scenario.services,
        firewalls=build_firewall_kinds(ResumableResources(azure)),
        clock=scenario.world.clock,
        archive=scenario.fakes.archive,
    )


async def _is_complete(services: Services) -> bool:
    return any(
        one.read_at for one in await services.tables.shared_snapshots.read_all("network-snapshots")
    )


async def _read_once(scenario: Scenario, azure: Rationed, calls: int, host: str) -> bool:
    """Read firewalls in one invocation. Return whether all have been read."""
    services = _build_services(scenario, azure)
    environment = await services.environments.get(scenario.build.environment.id)
    azure.left = calls
    try:
        await read_network(services, environment, [host])
    except CmkflowError:
        return False
    finally:
        scenario.world.clock.advance(timedelta(minutes=1))
    return await _is_complete(services)


@settings(max_examples=count_examples(60))
@given(
    apps=st.integers(0, 20),
    page_size=st.integers(1, 8),
    calls=st.integers(1, 6),
    expires=st.frozensets(st.integers(1, 10), max_size=2),
    malformed=st.sets(st.sampled_from([f"{SITES} ", f"{SITES} 2", f"{SITES} 4"])),
    gone=st.frozensets(st.integers(0, 19), max_size=3),
    host=st.sampled_from([ANY_HOST, "app-3.contoso.example"]),
)
@example(
    apps=20, page_size=1, calls=1, expires=frozenset(), malformed=set(), gone=frozenset(), host="*"
)
def test_read_of_the_network_ends_and_sends_no_request_twice(
    apps: int,
    page_size: int,
    calls: int,
    expires: frozenset[int],
    malformed: set[str],
    gone: frozenset[int],
    host: str,
) -> None:
    """After a cursor has expired, the pages of its list are read again."""

    async def play() -> None:
        scenario = Scenario()
        scenario.build.apply_key()
        azure = Rationed(apps, page_size, expires, set(malformed), gone)
        lists = len(build_firewall_kinds(azure)) + 20 + -(-apps // page_size)
        most = len(malformed) + (lists * (1 + len(expires)) + apps + len(expires)) // calls + 2
        for _ in range(most):
            if await _read_once(scenario, azure, calls, host):
                break
        else:
            raise AssertionError(azure.asked)
        assert max(azure.asked.values()) == 1
        snapshot = await NetworkReading(_build_services(scenario, azure)).read_cached()
        assert snapshot
        ids = {one.id for one in snapshot.firewalls if not one.id.endswith("#scm")}
        assert ids == {f"/sites/app-{number}" for number in range(apps) if number not in gone}
        assert await scenario.services.tables.resource_answers.read_all() == []

    asyncio.run(play())


@settings(max_examples=count_examples(40))
@given(
    apps=st.integers(1, 20),
    page_size=st.integers(1, 8),
    deaths=st.lists(st.integers(BATCH + 1, 30), max_size=4),
)
def test_killed_process_repeats_at_most_one_batch_of_requests(
    apps: int, page_size: int, deaths: list[int]
) -> None:
    async def play() -> None:
        scenario = Scenario()
        scenario.build.apply_key()
        azure = Rationed(apps, page_size)
        killed = 0
        for dies_in in [*deaths, 0]:
            azure.dies_in = dies_in
            try:
                assert await _read_once(scenario, azure, 1_000, ANY_HOST)
                break
            except KilledError:
                killed += 1
                scenario.world.clock.advance(timedelta(minutes=4))
        again = sum(count - 1 for count in azure.asked.values() if count)
        assert again <= killed * (BATCH + get_max_parallel_requests())

    with patch.object(network_snapshot, "ANSWERS_AT_ONCE", BATCH):
        asyncio.run(play())


def get_max_parallel_requests() -> int:
    from shared.concurrency import MOST_CONCURRENT

    return MOST_CONCURRENT


async def test_flow_does_not_wait_for_firewalls_of_other_hosts() -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    scenario.world.service_tags = {"PowerPlatformPlex.westeurope": ["20.1.0.0/24"]}
    azure = Rationed(1_000, 500)
    services = _build_services(scenario, azure)
    environment = await services.environments.get(scenario.build.environment.id)
    azure.left = 40

    gaps = await find_blocking_issues(services, environment, ["app-700.contoso.example"], [])

    assert gaps == []
    assert azure.asked["/sites/app-700"] == 1
    assert sum(azure.asked.values()) == 40
    assert not await _is_complete(services)


async def test_only_one_invocation_reads_the_network_at_a_time() -> None:
    scenario = Scenario()
    scenario.build.apply_key()
    azure = Rationed(10, 5, left=1_000)
    services = _build_services(scenario, azure)
    environment = await services.environments.get(scenario.build.environment.id)
    first = NetworkReading(services)
    async with first.use_stored_answers():
        try:
            await read_network(services, environment, [ANY_HOST])
            raise AssertionError("two read at once")
        except ThrottledError:
            pass
    assert json.dumps(azure.asked) == "{}"
    await read_network(services, environment, [ANY_HOST])
