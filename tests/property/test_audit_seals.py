import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.audit import AuditEntry
from shared.domain.audit_seal import (
    AuditSeal,
    SealedEntry,
    build_entry_list_name,
    build_statement,
    find_chain_differences,
    find_entry_differences,
    format_sealed_entries,
    format_statement,
    hash_text,
    parse_sealed_entries,
)
from shared.domain.principal import PrincipalKind
from shared.domain.signature import Signature
from shared.services import Services
from shared.signatures import is_signature_valid
from shared.use_cases.seal_audit_log import read_audit_rows, seal_audit_log
from tests.fakes.crash import Killed, Moment, Plan
from tests.fakes.evidence_key import KEY_URL, add_evidence_key
from tests.fakes.ports import Fakes, build_fakes
from tests.fakes.services import build_fake_services, build_fake_settings
from tests.fakes.world import World

SETTINGS = build_fake_settings(evidence_key=KEY_URL)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)

#: Texts of rows by their keys; any text, to show that none is taken for two.
logs = st.dictionaries(st.text(), st.text(), min_size=1, max_size=8)


def build_entries(log: dict[str, str]) -> list[SealedEntry]:
    return [SealedEntry(key=key, sha256=hash_text(text)) for key, text in log.items()]


def remove_entry(log: dict[str, str], key: str, text: str) -> None:
    del log[key]


def change_entry(log: dict[str, str], key: str, text: str) -> None:
    log[key] += text or "x"


def insert_entry(log: dict[str, str], key: str, text: str) -> None:
    log[key + text + "x"] = text


def move_entry(log: dict[str, str], key: str, text: str) -> None:
    log[key + text + "x"] = log.pop(key)


def exchange_entries(log: dict[str, str], key: str, text: str) -> None:
    other = min(log.keys() - {key}, default=key)
    log[key], log[other] = log[other], log[key]


@pytest.mark.parametrize(
    "change", [remove_entry, change_entry, insert_entry, move_entry, exchange_entries]
)
@given(log=logs, data=st.data(), is_list_kept=st.booleans())
def test_any_change_of_sealed_entries_is_found(
    change: Callable[[dict[str, str], str, str], None],
    log: dict[str, str],
    data: st.DataObject,
    is_list_kept: bool,
) -> None:
    """Without the stored list of sealed entries, the check finds only that something changed."""
    entries = build_entries(log)
    statement = build_statement(None, entries, ends_at=MIDNIGHT, sealed_at=MIDNIGHT)
    listed = format_sealed_entries(entries) if is_list_kept else None
    now = dict(log)
    change(now, data.draw(st.sampled_from(sorted(log))), data.draw(st.text(max_size=2)))
    assume(now != log)

    assert list(find_entry_differences(statement, listed, entries)) == []
    assert list(find_entry_differences(statement, listed, build_entries(now))) != []


@given(log=logs)
def test_list_of_entries_is_parsed_as_it_was_formatted(log: dict[str, str]) -> None:
    entries = build_entries(log)

    assert parse_sealed_entries(format_sealed_entries(entries)) == sorted(entries)


def sign(text: str) -> Signature:
    return Signature(key_id="k", public_key="p", value=hash_text(text))


def is_valid(signature: Signature, content: bytes) -> bool:
    return signature.value == hashlib.sha256(content).hexdigest()


def build_chain(days: list[dict[str, str]]) -> list[AuditSeal]:
    """Return the seals of consecutive days, oldest first."""
    seals: list[AuditSeal] = []
    for number, log in enumerate(days, start=1):
        end = MIDNIGHT + timedelta(days=number)
        previous = seals[-1] if seals else None
        statement = build_statement(previous, build_entries(log), ends_at=end, sealed_at=end)
        text = format_statement(statement)
        seals.append(AuditSeal(number=number, ends_at=end, text=text, signature=sign(text)))
    return seals


@given(days=st.lists(logs, min_size=3, max_size=6), data=st.data())
def test_any_change_of_the_chain_of_seals_is_found(
    days: list[dict[str, str]], data: st.DataObject
) -> None:
    seals = build_chain(days)
    place = data.draw(st.integers(1, len(seals) - 2))
    other = seals[place]
    statement = replace(other.statement, entry_count=other.statement.entry_count + 1)
    text = format_statement(statement)
    remade = replace(other, text=text, signature=sign(text))

    assert list(find_chain_differences(seals, is_valid)) == []
    for broken in (
        seals[:place] + seals[place + 1 :],
        [*seals[:place], seals[place + 1], other, *seals[place + 2 :]],
        [*seals[:place], replace(other, text=text), *seals[place + 1 :]],
        [*seals[:place], replace(other, text="{}"), *seals[place + 1 :]],
        [*seals[:place], replace(other, number=99), *seals[place + 1 :]],
        [*seals[:place], remade, *seals[place + 1 :]],
    ):
        assert list(find_chain_differences(broken, is_valid)) != []


class Log:
    """The audit log of an app with several writers."""

    def __init__(self) -> None:
        self.world = World()
        add_evidence_key(self.world)
        self.fakes: Fakes = build_fakes(self.world)
        self.written = 0

    @property
    def services(self) -> Services:
        """Return the services of a new process."""
        return build_fake_services(self.fakes.ports, settings=SETTINGS)

    async def write(self, recorded_at: datetime, *, is_result: bool, is_rejection: bool) -> None:
        self.written += 1
        entry_id = f"{self.written:04}"
        await asyncio.sleep(0)
        entry = AuditEntry(
            id=entry_id,
            recorded_at=recorded_at,
            who="tests",
            who_id="",
            kind=PrincipalKind.USER,
            client="",
            operation="cancel_remediation",
            target="/api/remediations",
            request_body="",
            status=202 if is_result else None,
            is_rejection=is_rejection,
        )
        await self.services.tables.audit_log.insert(entry)

    async def check(self) -> int:
        """Check the seals, and return the number of sealed entries."""
        services = self.services
        seals = [kept.item async for kept in services.tables.audit_seals.query("seal")][::-1]
        assert list(find_chain_differences(seals, is_signature_valid)) == []
        sealed: list[SealedEntry] = []
        for seal in seals:
            listed = await services.archive.get(build_entry_list_name(seal.statement))
            assert hashlib.sha256(listed).hexdigest() == seal.statement.entries_sha256
            sealed += parse_sealed_entries(listed)
        present = [entry async for entry, _ in read_audit_rows(services)]
        assert len(present) == self.written
        assert sorted(sealed) == sorted(present)[self.written - len(sealed) :]
        return len(sealed)


#: Of an entry: time to its request, time until it is written, whether it is a result or rejection.
writes = st.lists(
    st.tuples(
        st.timedeltas(timedelta(), timedelta(hours=40)),
        st.timedeltas(timedelta(), SETTINGS.in_flight_timeout - timedelta(seconds=1)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@given(writes=writes, seals=st.lists(st.timedeltas(timedelta(), timedelta(days=3)), max_size=5))
def test_concurrent_writers_lose_no_entry(
    writes: list[tuple[timedelta, timedelta, bool, bool]], seals: list[timedelta]
) -> None:
    async def run() -> None:
        log = Log()
        began = log.world.clock.now()
        due: dict[timedelta, list[Callable[[], Awaitable[None]]]] = {}
        for asked, taken, is_result, is_rejection in writes:
            due.setdefault(asked + taken, []).append(
                partial(log.write, began + asked, is_result=is_result, is_rejection=is_rejection)
            )
        for at in seals:
            due.setdefault(at, []).extend([lambda: seal_audit_log(log.services)] * 2)
        for at in sorted(due):
            log.world.clock.advance(began + at - log.world.clock.now())
            await asyncio.gather(*(start() for start in due[at]))
        log.world.clock.advance(timedelta(days=4))
        await seal_audit_log(log.services)
        assert await log.check() == len(writes)

    asyncio.run(run())


@pytest.mark.parametrize("moment", Moment)
async def test_killed_process_seals_each_entry_exactly_once(moment: Moment) -> None:
    at, has_struck = 0, True
    while has_struck:
        at += 1
        log = Log()
        for hour in range(5):
            recorded_at = log.world.clock.now() + timedelta(hours=hour)
            await log.write(recorded_at, is_result=False, is_rejection=False)
        log.world.clock.advance(timedelta(days=1))
        plan = Plan(at=at, moment=moment)
        try:
            ports = log.fakes.ports.wrap_with_plan(plan)
            await seal_audit_log(build_fake_services(ports, settings=SETTINGS))
        except Killed:
            pass
        has_struck = plan.has_struck
        await log.write(log.world.clock.now(), is_result=False, is_rejection=False)
        await seal_audit_log(log.services)
        assert await log.check() == 5
        log.world.clock.advance(timedelta(days=1))
        await seal_audit_log(log.services)
        assert await log.check() == 6
    assert at > 5
