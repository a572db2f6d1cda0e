"""Cache answers that many jobs need, such as the firewalls.

An answer is stored in the archive, named by its content, so that an unchanged answer is stored
once. A row names the last answer, and the invocation that is reading a new one.
"""

import json
import uuid
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from shared.domain.ids import hash_key
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import CmkflowError
from shared.services import Services
from shared.state.rows import get_type_adapter

#: How long other jobs wait for a reader; then they read themselves.
READING_TAKES = timedelta(seconds=30)
#: How long they wait for a reader of many pages, which may have to wait for requests.
PAGE_TAKES = timedelta(minutes=4)
#: An invocation that waits reads again after the first pause. Each pause is twice the previous
#: one, up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=0.05), timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSnapshotStore[T]:
    """The stored answers to one question, all of type `kind`. Sets in answers are stored sorted."""

    services: Services
    topic: str
    id: str
    kind: type[T]
    #: Identifies this reader in the row.
    reader: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def read_last(self) -> SharedSnapshot:
        """Return when the answer was last read, and whether a reading is in progress."""
        kept = await self.services.tables.shared_snapshots.get(self.topic, self.id)
        return kept.item if kept else self._empty

    async def read_cached(self, since: datetime, ended: datetime | None = None) -> T | None:
        """Return an answer whose reading began at `since` or later and ended at `ended` or later.

        Returns None if this invocation has to read it. Waits for a reading in progress, but no
        longer than a reading takes, and not for one of many pages.
        """
        services, readings = self.services, self.services.tables.shared_snapshots
        until, pause = services.now + READING_TAKES, _FIRST_PAUSE
        known: SharedSnapshot | None = None

        def with_claim(last: SharedSnapshot | None) -> SharedSnapshot | None:
            nonlocal known
            known, now = last, services.now
            if last and (last.is_newer_than(since, ended) or last.lease.is_held(now)):
                return None
            until = now + READING_TAKES
            return replace(last or self._empty, refresh_expected_until=until, reader=self.reader)

        while services.now < until:
            if await readings.change(self.topic, self.id, with_claim):
                break
            if known and known.is_newer_than(since, ended):
                return await self._load_answer(known.archive_name)
            if known and known.lease.is_held(services.now + READING_TAKES):
                break
            await services.clock.sleep(min(pause, until - services.now))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    async def claim_reading(self, began: datetime | None = None) -> SharedSnapshot | None:
        """Record that this invocation reads the answer.

        Return None if another invocation is reading it. `began` is when a reading of many pages
        began, of which this invocation has read one.
        """

        def with_claim(last: SharedSnapshot | None) -> SharedSnapshot | None:
            now, row = self.services.now, last or self._empty
            if not row.lease.is_free_for(self.reader, now):
                return None
            since = began or row.goes_on_since
            until = now + (PAGE_TAKES if since else READING_TAKES)
            return replace(
                row, refresh_expected_until=until, reader=self.reader, goes_on_since=since
            )

        kept = await self.services.tables.shared_snapshots.change(self.topic, self.id, with_claim)
        return kept.item if kept else None

    async def record_reading_continues(self, began: datetime) -> None:
        """Record that a reading of many pages continues, so that others wait for another page."""
        until = self.services.now + PAGE_TAKES

        def with_later_refresh(last: SharedSnapshot | None) -> SharedSnapshot:
            return replace(last or self._empty, refresh_expected_until=until, goes_on_since=began)

        await self.services.tables.shared_snapshots.change(self.topic, self.id, with_later_refresh)

    async def record_reading_stopped(self) -> None:
        """Record that this invocation stops reading, so that another may continue."""

        def without_refresh(last: SharedSnapshot | None) -> SharedSnapshot | None:
            return replace(last, refresh_expected_until=None) if last else None

        await self.services.tables.shared_snapshots.change(self.topic, self.id, without_refresh)

    async def store(self, answer: T, began: datetime) -> None:
        """Store an answer, unless a newer one is stored or the archive fails.

        `began` is when its reading began.
        """
        name, readings = await self._archive_answer(answer), self.services.tables.shared_snapshots
        took = self.services.now - began

        def with_answer(last: SharedSnapshot | None) -> SharedSnapshot:
            reading = replace(last or self._empty, refresh_expected_until=None, goes_on_since=None)
            is_older = reading.read_at is not None and reading.read_at > began
            if is_older or not name:
                return reading
            return replace(reading, read_at=began, archive_name=name, took=took)

        await readings.change(self.topic, self.id, with_answer)

    @property
    def _empty(self) -> SharedSnapshot:
        return SharedSnapshot(topic=self.topic, id=self.id)

    async def _archive_answer(self, answer: T) -> str:
        content = json.dumps(answer, default=_convert_to_json)
        name = f"{self.topic}/{hash_key(content)}.json"
        try:
            await self.services.archive.put(name, content.encode())
        except (CmkflowError, OSError):
            return ""
        self.services.memory.keep((self.topic, self.id), name, answer)
        return name

    async def _load_answer(self, name: str) -> T | None:
        memory, key = self.services.memory, (self.topic, self.id)
        if known := memory.find(key, name):
            return cast("T", known)
        try:
            content = await self.services.archive.get(name)
            kept: T = get_type_adapter(cast("Any", self.kind)).validate_json(content)
        except (CmkflowError, OSError, ValueError):
            return None
        memory.keep(key, name, kept)
        return kept


def _convert_to_json(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value)} cannot be stored")
