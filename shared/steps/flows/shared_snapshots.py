"""What was read last of what many jobs ask alike: the proofs of many flows ask the same.

An answer is in the archive, named by its content: one that stays as it is takes no second place
there. A row says which is the last, and who reads anew. Without either it is read.
"""

import json
import uuid
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from shared.domain.ids import hash_key
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import CmkflowError
from shared.rows import type_adapter_for
from shared.services import Services

#: For so long others wait for who reads anew; then they read themselves.
READING_TAKES = timedelta(seconds=30)
#: For so long who reads one of many pages: it waits for a call.
PAGE_TAKES = timedelta(minutes=4)
#: Whoever waits looks after the first, then after twice as long each time, up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=0.05), timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSnapshotStore[T]:
    """One question; its answers are of type `kind`: data, in which a set's order says nothing."""

    services: Services
    topic: str
    id: str
    kind: type[T]
    #: Names this reader in the row.
    reader: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def last(self) -> SharedSnapshot:
        """Return what is known of the last reading, and of one that is going on."""
        kept = await self.services.tables.shared_snapshots.get(self.topic, self.id)
        return kept.item if kept else self._none

    async def cached(self, since: datetime, ended: datetime | None = None) -> T | None:
        """Return what was read from a moment on, or is being read; None: read it yourself.

        Who reads may die or fail, and the next one too: nobody waits longer than a reading takes,
        nor for a reading that takes many pages. `ended`: its end may not be longer ago.
        """
        services, readings = self.services, self.services.tables.shared_snapshots
        until, pause = services.now + READING_TAKES, _FIRST_PAUSE

        def claimed(last: SharedSnapshot | None) -> SharedSnapshot | None:
            now = services.now
            if last and (last.is_newer_than(since, ended) or last.is_refreshing(now)):
                return None
            until = now + READING_TAKES
            return replace(last or self._none, refresh_expected_until=until, reader=self.reader)

        while services.now < until:
            if await readings.change(self.topic, self.id, claimed):
                break
            kept = await readings.get(self.topic, self.id)
            if kept and kept.item.is_newer_than(since, ended):
                return await self._unpacked(kept.item.archive_name)
            if kept and kept.item.is_refreshing(services.now + READING_TAKES):
                break
            await services.clock.sleep(min(pause, until - services.now))
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    async def claim(self, began: datetime | None = None) -> SharedSnapshot | None:
        """Take a reading over unless another reader has it; None: another has.

        `began`: it has many pages, and this reader has read one of them.
        """

        def claimed(last: SharedSnapshot | None) -> SharedSnapshot | None:
            now, row = self.services.now, last or self._none
            if row.is_refreshing(now) and row.reader != self.reader:
                return None
            since = began or row.goes_on_since
            until = now + (PAGE_TAKES if since else READING_TAKES)
            return replace(
                row, refresh_expected_until=until, reader=self.reader, goes_on_since=since
            )

        kept = await self.services.tables.shared_snapshots.change(self.topic, self.id, claimed)
        return kept.item if kept else None

    async def go_on(self, began: datetime) -> None:
        """Note that a reading of many pages goes on, and keep others waiting for a page longer."""
        until = self.services.now + PAGE_TAKES

        def noted(last: SharedSnapshot | None) -> SharedSnapshot:
            return replace(last or self._none, refresh_expected_until=until, goes_on_since=began)

        await self.services.tables.shared_snapshots.change(self.topic, self.id, noted)

    async def stop(self) -> None:
        """Note that this delivery does not read on: another may, once its turn has come."""

        def noted(last: SharedSnapshot | None) -> SharedSnapshot | None:
            return replace(last, refresh_expected_until=None) if last else None

        await self.services.tables.shared_snapshots.change(self.topic, self.id, noted)

    async def store(self, answer: T, began: datetime) -> None:
        """Keep what was read from `began` on, unless what is kept is newer, or nothing can be."""
        name, readings = await self._packed(answer), self.services.tables.shared_snapshots
        took = self.services.now - began

        def noted(last: SharedSnapshot | None) -> SharedSnapshot:
            reading = replace(last or self._none, refresh_expected_until=None, goes_on_since=None)
            is_older = reading.read_at is not None and reading.read_at > began
            if is_older or not name:
                return reading
            return replace(reading, read_at=began, archive_name=name, took=took)

        await readings.change(self.topic, self.id, noted)

    @property
    def _none(self) -> SharedSnapshot:
        return SharedSnapshot(topic=self.topic, id=self.id)

    async def _packed(self, answer: T) -> str:
        """Return the answer's name in the archive; empty: the archive takes nothing now."""
        content = json.dumps(answer, default=_plain)
        name = f"{self.topic}/{hash_key(content)}.json"
        try:
            await self.services.archive.put(name, content.encode())
        except (CmkflowError, OSError):
            return ""
        self.services.memory.keep((self.topic, self.id), name, answer)
        return name

    async def _unpacked(self, name: str) -> T | None:
        memory, key = self.services.memory, (self.topic, self.id)
        if remembered := memory.find(key, name):
            return cast("T", remembered)
        try:
            content = await self.services.archive.get(name)
            kept: T = type_adapter_for(cast("Any", self.kind)).validate_json(content)
        except (CmkflowError, OSError, ValueError):
            return None
        memory.keep(key, name, kept)
        return kept


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value)} is not kept")
