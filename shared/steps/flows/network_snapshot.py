"""Cache all firewalls and Microsoft's address ranges, because the checks of many flows need them.

Azure may have more firewalls than one invocation has requests for. So a reading stores its answers
until it is complete, and the next reader continues it. Only one reader at a time sends requests.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.definitions.json_values import as_mapping
from shared.domain.ids import hash_key
from shared.domain.network.resource_answer import ResourceAnswer, join_answers, split_answer
from shared.domain.network.snapshot import SHAPE, NetworkSnapshot
from shared.domain.shared_snapshot import NETWORK_SNAPSHOTS, SharedSnapshot
from shared.domain.trigger_urls.signatures import mask_signatures
from shared.errors import CmkflowError, ThrottledError
from shared.ports import Condition
from shared.resumable_resources import resume_reading
from shared.services import Services
from shared.state.rows import format_sortable_time
from shared.steps.flows.shared_snapshots import READING_TAKES, SharedSnapshotStore

#: A reading that made no progress for this long is started again, because the network may have
#: changed.
NETWORK_RESTART_AFTER = timedelta(minutes=30)
#: Answers that are stored together, and how long the first of them waits. A crash loses no more.
ANSWERS_AT_ONCE = 50
BATCH_DELAY = timedelta(seconds=10)
#: How long the answers of an incomplete reading are stored.
_RETENTION = timedelta(days=3)
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class NetworkReading:
    """A reading of all firewalls and address ranges, which continues an interrupted one."""

    services: Services
    standstill: timedelta = NETWORK_RESTART_AFTER
    #: When the first answer of this reading was requested.
    began: datetime = field(init=False)
    _snapshots: SharedSnapshotStore[NetworkSnapshot] = field(init=False)
    _reading_id: str = field(init=False, default="")
    _answers: dict[str, Mapping[str, object]] = field(init=False, default_factory=dict)
    #: Rows that are not stored yet.
    _new: list[ResourceAnswer] = field(init=False, default_factory=list)
    _stored_at: datetime = field(init=False)
    #: This reader may send requests; others use what is stored.
    _has_turn: bool = field(init=False, default=False)
    #: No request is sent after this time.
    _ends_at: datetime | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        settings = self.services.settings
        identity = hash_key(SHAPE, settings.service_tags_file, *settings.subscription_ids)
        self.began = self._stored_at = self.services.now
        self._snapshots = SharedSnapshotStore(
            services=self.services, topic=NETWORK_SNAPSHOTS, id=identity, kind=NetworkSnapshot
        )

    async def read_cached(self) -> NetworkSnapshot | None:
        """Return recently read firewalls and address ranges. Returns None if this invocation has to
        read them.

        Waits for a short time if another invocation is reading them.
        """
        age = self.services.settings.network_snapshot_max_age
        if not age:
            return None
        # The age counts from the end: a reading that took long would otherwise be too old at once.
        return await self._snapshots.read_cached(_ANY_TIME, self.services.now - age)

    async def read_last(self) -> SharedSnapshot:
        """Return when all firewalls were last read, and since when a reading is incomplete."""
        return await self._snapshots.read_last()

    async def store_snapshot(self, snapshot: NetworkSnapshot) -> None:
        """Store the complete firewalls and address ranges, unless newer ones are stored or the
        archive fails.
        """
        await self._snapshots.store(snapshot, self.began)
        if self._reading_id:
            await self.services.tables.resource_answers.clear(self._reading_id)
        self._new = []

    @asynccontextmanager
    async def use_stored_answers(self) -> AsyncGenerator[None]:
        """Let reads inside the block use the stored responses and store new ones.

        A request inside raises `ThrottledError` while another invocation sends requests.
        """
        self._has_turn = await self._load_stored_answers()
        try:
            with resume_reading(self):
                yield
            await self._store_new_answers()
        except CmkflowError:
            await self._store_new_answers()
            raise
        finally:
            if self._has_turn:
                await self._snapshots.record_reading_stopped()

    @contextmanager
    def stop_requests_after(self, moment: datetime) -> Iterator[None]:
        """In the block, let `find_answer` raise `ThrottledError` for requests after this time."""
        self._ends_at = moment
        try:
            yield
        finally:
            self._ends_at = None

    def find_answer(self, request: str) -> Mapping[str, object] | None:
        """Return the stored response to a request, or None if there is none.

        Raises `ThrottledError` if the request may not be sent now.
        """
        if (found := self._answers.get(request)) is not None:
            return found
        if not self._has_turn:
            text = "Another invocation is reading the network."
            raise ThrottledError(text, retry_after=READING_TAKES)
        if self._ends_at and self.services.now >= self._ends_at:
            raise ThrottledError("The rest of the network will be read later.")
        return None

    async def store_answer(self, request: str, answer: Mapping[str, object]) -> None:
        """Store a response, together with others that follow shortly."""
        self._answers[request] = answer
        now, text = self.services.now, mask_signatures(json.dumps(answer))
        self._new += split_answer(self._reading_id, request, text, read_at=now)
        if len(self._new) >= ANSWERS_AT_ONCE or now - self._stored_at >= BATCH_DELAY:
            await self._store_new_answers()

    async def delete_answers(self, start: str) -> None:
        """Delete the responses to requests that begin with `start`."""
        await self._store_new_answers()
        self._answers = {
            request: answer
            for request, answer in self._answers.items()
            if not request.startswith(start)
        }
        table = self.services.tables.resource_answers
        for row in await table.read_all(self._reading_id):
            if row.request.startswith(start):
                await table.store.write(table.build_removal(row))

    async def _load_stored_answers(self) -> bool:
        """Load the stored responses. Return whether this invocation may send requests."""
        last = await self._snapshots.claim_reading()
        has_turn = last is not None
        last = last or await self._snapshots.read_last()
        if last.goes_on_since:
            reading_id = self._build_reading_id(last.goes_on_since)
            rows = await self.services.tables.resource_answers.read_all(reading_id)
            newest = max((row.read_at for row in rows), default=last.goes_on_since)
            if self.services.now - newest <= self.standstill:
                self._reading_id, self.began = reading_id, last.goes_on_since
                answers = join_answers(rows).items()
                self._answers = {one: as_mapping(json.loads(text)) for one, text in answers}
                return has_turn
        self._reading_id, self.began = self._build_reading_id(self.services.now), self.services.now
        return has_turn

    def _build_reading_id(self, began: datetime) -> str:
        return f"{self._snapshots.id}-{began:%Y%m%dT%H%M%S%f}"

    async def _store_new_answers(self) -> None:
        if not self._new:
            return
        # Other answers arrive while this batch is stored: each answer is in one batch.
        batch, self._new = self._new, []
        self._stored_at = self.services.now
        try:
            # The next reader expects them there. A reader that was too slow sends no more requests.
            if self._has_turn:
                self._has_turn = await self._snapshots.claim_reading(self.began) is not None
            await self.services.tables.resource_answers.upsert(*batch)
        except BaseException:
            self._new = [*batch, *self._new]
            raise


async def delete_stale_readings(services: Services) -> None:
    """Remove the responses of readings that nobody will complete."""
    before = format_sortable_time(services.now - _RETENTION)
    await services.tables.resource_answers.clear(where=[Condition("read_at", "lt", before)])
