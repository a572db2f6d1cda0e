"""Test the snapshot of firewalls and service tags that verifications share."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.concurrency import MOST_CONCURRENT, read_each
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.network.firewall_fix import FirewallFix, build_unavailable_fix
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.network_check import NetworkCheck
from shared.domain.network.snapshot import NetworkSnapshot
from shared.errors import ServiceUnavailable, ThrottledError
from shared.ports import Archive, Operation, StoreRow
from shared.services import Memory, Services
from shared.settings import Settings
from shared.steps.flows import check_network
from shared.steps.flows.check_network import find_blocking_issues, read_firewalls, read_network
from shared.steps.flows.network_snapshot import ANSWERS_AT_ONCE, NetworkReading
from shared.steps.flows.shared_snapshots import READING_TAKES
from tests.fakes.clock import ManualClock
from tests.fakes.memory_archive import MemoryArchive
from tests.functional.scenarios.remediation_scenario import Scenario

HOST = "erp.contoso.example"
AGE = Settings(tenant_id="fakes").network_snapshot_max_age


class YieldingClock(ManualClock):
    """A clock that lets other tasks run while it sleeps."""

    async def sleep(self, time: timedelta) -> None:
        moment = self.now() + time
        await asyncio.sleep(0)
        self.advance_to(moment)


@dataclass(slots=True)
class CountedFirewalls:
    """Firewalls of a kind that count their reads. Other tasks run during a read."""

    walls: list[Firewall] = field(default_factory=list)
    reads: int = 0
    kind: str = "any"
    resource_type: str = "any"

    async def read(self) -> list[Firewall]:
        """Return the firewalls as they were at the start of the read."""
        self.reads += 1
        walls = list(self.walls)
        await asyncio.sleep(0)
        return walls

    async def propose_fix(self, gap: FirewallIssue) -> FirewallFix:
        return build_unavailable_fix(gap, "of no kind: a fake")


class BrokenFirewalls(CountedFirewalls):
    """Firewalls that cannot be read because requests are throttled."""

    async def read(self) -> list[Firewall]:
        raise ThrottledError("too many calls", retry_after=timedelta(seconds=9))


class CountedArchive(MemoryArchive):
    reads = 0

    async def get(self, name: str) -> bytes:
        self.reads += 1
        return await super().get(name)


class FullArchive(MemoryArchive):
    """An archive that can be read but not written."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def put(self, name: str, content: bytes) -> str:
        raise self._error


@dataclass(slots=True)
class Network:
    """An environment whose flows call one host behind a firewall."""

    scenario: Scenario = field(default_factory=Scenario)
    firewalls: CountedFirewalls = field(default_factory=CountedFirewalls)
    archive: Archive = field(default_factory=MemoryArchive)
    settings: Settings = field(default_factory=lambda: Settings(tenant_id="fakes"))

    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.scenario.world.clock = YieldingClock()
        self.scenario.world.service_tags = {
            "PowerPlatformPlex.westeurope": ["20.1.0.0/24"],
            "LogicApps": ["20.2.0.0/24"],
        }
        self.set_open(is_open=True)

    @property
    def services(self) -> Services:
        """Return the app's services, in a process that keeps snapshots in `memory`."""
        return replace(
            self.scenario.services,
            clock=self.scenario.world.clock,
            firewalls={"any": self.firewalls},
            archive=self.archive,
            settings=self.settings,
            memory=self.memory,
        )

    def set_open(self, *, is_open: bool) -> None:
        """Set whether the firewall allows the new addresses."""
        sources = ("LogicApps", *(["PowerPlatformPlex"] if is_open else []))
        rule = FirewallRule(name="flows", action=RuleAction.ALLOW, sources=sources)
        wall = Firewall(
            kind="any",
            id="/firewalls/erp",
            name="erp",
            hosts=frozenset({HOST, "other.contoso.example"}),
            rules=(rule,),
            default=RuleAction.DENY,
        )
        self.firewalls.walls = [wall]

    def advance(self, time: timedelta) -> None:
        self.scenario.world.clock.advance(time)

    async def find_issues(self, ignored: Collection[str] = ()) -> list[FirewallIssue]:
        environment = await self.services.environments.get(self.scenario.build.environment.id)
        return await find_blocking_issues(self.services, environment, [HOST], ignored)


async def test_verifications_share_a_snapshot_of_the_network() -> None:
    network = Network()

    found = [await network.find_issues() for _ in range(3)]
    shared = network.firewalls.reads
    network.advance(AGE + timedelta(seconds=1))
    found.append(await network.find_issues())

    assert found == [[], [], [], []]
    assert (shared, network.firewalls.reads) == (1, 2)
    assert isinstance(network.archive, MemoryArchive)
    assert len(network.archive.contents) == 1


async def test_snapshot_with_an_issue_is_read_again() -> None:
    """A person may have just changed the firewall."""
    network = Network()
    network.set_open(is_open=False)
    assert await network.find_issues()
    network.set_open(is_open=True)

    found = [await network.find_issues(), await network.find_issues()]

    assert found == [[], []]
    assert network.firewalls.reads == 2


async def test_issue_is_read_again_before_it_is_reported() -> None:
    network = Network()
    network.set_open(is_open=False)

    first, second = await network.find_issues(), await network.find_issues()

    assert first == second != []
    assert network.firewalls.reads == 2


async def test_ignored_issue_needs_no_second_read() -> None:
    """An ignored issue blocks no flow."""
    network = Network()
    network.set_open(is_open=False)
    [gap] = await network.find_issues()

    assert await network.find_issues(ignored=[gap.name]) == []
    assert network.firewalls.reads == 1


async def test_concurrent_verifications_share_one_read() -> None:
    network = Network()

    found = await asyncio.gather(*(network.find_issues() for _ in range(16)))

    assert found == [[]] * 16
    assert network.firewalls.reads == 1


async def test_throttled_kind_stops_reads_of_other_kinds() -> None:
    network = Network()
    kinds = [CountedFirewalls() for _ in range(2 * MOST_CONCURRENT)]
    named = {f"kind {number}": one for number, one in enumerate(kinds)}
    services = replace(network.services, firewalls={"broken": BrokenFirewalls(), **named})

    with pytest.raises(ThrottledError):
        await read_firewalls(services)
    begun = sum(one.reads for one in kinds)
    for _ in range(100):
        await asyncio.sleep(0)

    assert sum(one.reads for one in kinds) == begun <= MOST_CONCURRENT


async def test_process_evaluates_a_snapshot_once(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = CountedArchive()
    network = Network(archive=archive)
    await network.find_issues()
    walks: list[object] = []

    class CountedCheck(NetworkCheck):
        def __init__(self, *walked: Any) -> None:
            walks.append(walked)
            super().__init__(*walked)

    monkeypatch.setattr(check_network, "NetworkCheck", CountedCheck)

    async def count_reads_and_checks() -> tuple[int, int]:
        for _ in range(5):
            assert await network.find_issues() == []
        counted = archive.reads, len(walks)
        archive.reads = 0
        walks.clear()
        return counted

    assert await count_reads_and_checks() == (0, 1)
    network.memory = Memory()
    assert await count_reads_and_checks() == (1, 1)
    network.advance(2 * AGE)
    assert await count_reads_and_checks() == (0, 1)  # not from the archive


async def test_verification_waits_at_most_half_a_minute_for_another_reader() -> None:
    """The process that reads the network may have died."""
    network = Network()
    began = network.services.now
    assert await NetworkReading(network.services).read_cached() is None

    assert await network.find_issues() == []

    assert timedelta() < network.services.now - began <= READING_TAKES
    assert network.firewalls.reads == 1


async def test_verifications_do_not_queue_behind_failing_readers() -> None:
    network = Network(firewalls=BrokenFirewalls())
    began = network.services.now

    found = await asyncio.gather(*(network.find_issues() for _ in range(5)), return_exceptions=True)

    assert {type(one) for one in found} == {ThrottledError}
    assert network.services.now - began <= READING_TAKES


@pytest.mark.parametrize("content", [None, b"not whole", b'{"firewalls": [{}], "tags": []}'])
async def test_missing_or_invalid_snapshot_is_read_again(content: bytes | None) -> None:
    network = Network()
    await network.find_issues()
    network.memory = Memory()
    assert isinstance(network.archive, MemoryArchive)
    [name] = network.archive.contents
    network.archive.contents = {} if content is None else {name: content}

    assert await network.find_issues() == []
    assert network.firewalls.reads == 2


async def test_invalid_snapshot_row_is_written_again() -> None:
    network = Network()
    await network.find_issues()
    rows = network.scenario.fakes.store.rows
    [place] = [place for place, row in rows.items() if row.table == "sharedsnapshots"]
    rows[place] = replace(rows[place], columns={"chunks": 1, "data0": "?"})

    assert [await network.find_issues(), await network.find_issues()] == [[], []]
    assert network.firewalls.reads == 2


@pytest.mark.parametrize(
    "error", [ServiceUnavailable("the archive takes nothing now"), OSError("full")]
)
async def test_full_archive_does_not_stop_verifications(error: Exception) -> None:
    network = Network(archive=FullArchive(error))
    began = network.services.now

    assert [await network.find_issues(), await network.find_issues()] == [[], []]

    assert network.firewalls.reads == 2
    assert network.services.now == began


async def test_other_subscriptions_need_another_snapshot() -> None:
    network = Network()
    await network.find_issues()

    for changed in ({"subscription_ids": ("another",)}, {"service_tags_file": "tags.json"}):
        network.settings = network.settings.model_copy(update=changed)
        assert await network.find_issues() == []

    assert network.firewalls.reads == 3


async def test_each_verification_reads_the_network_if_the_maximum_age_is_zero() -> None:
    network = Network(settings=Settings(tenant_id="fakes", network_snapshot_max_age=timedelta()))

    await network.find_issues()
    await network.find_issues()

    assert network.firewalls.reads == 2


async def test_verifications_use_the_snapshot_of_the_plan() -> None:
    network = Network()
    await network.find_issues()
    environment = await network.services.environments.get(network.scenario.build.environment.id)

    await read_network(network.services, environment, [HOST])
    network.advance(AGE / 2)
    await network.find_issues()

    assert network.firewalls.reads == 2


async def test_older_snapshot_does_not_replace_a_newer_one() -> None:
    network = Network()
    await network.find_issues()
    network.advance(AGE / 2)
    services = network.services
    newer = NetworkSnapshot(firewalls=(), tags=())
    await NetworkReading(services).store_snapshot(newer)

    older = NetworkSnapshot(firewalls=tuple(network.firewalls.walls), tags=())
    slow = NetworkReading(services)
    slow.began = services.now - AGE / 4
    await slow.store_snapshot(older)

    assert await NetworkReading(services).read_cached() == newer


async def test_responses_that_arrive_together_are_stored_once() -> None:
    services = Scenario().services
    store = services.tables.resource_answers.store
    write, stored = store.write, Counter[str]()

    async def write_and_record(*operations: Operation) -> list[StoreRow]:
        stored.update(one.row.key for one in operations if one.row.table == "resourceanswers")
        await asyncio.sleep(0)
        return await write(*operations)

    store.write = write_and_record  # type: ignore[method-assign]
    reading = NetworkReading(services)

    async def answer(number: int) -> None:
        await asyncio.sleep(0)
        await reading.store_answer(f"GET /sites/{number}", {"number": number})

    async with reading.use_stored_answers():
        await read_each(range(3 * ANSWERS_AT_ONCE), answer)

    rows = await services.tables.resource_answers.read_all()
    assert len(rows) == 3 * ANSWERS_AT_ONCE
    assert set(stored.values()) == {1}
