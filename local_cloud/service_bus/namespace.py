"""The queues of the one namespace, found by the addresses that AMQP links name."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from local_cloud.service_bus.queue_model import Clock, Queue
from local_cloud.service_bus.queue_settings import QueueSettings
from local_cloud.service_bus.queue_store import SqliteQueueStore


class EntityNotFound(LookupError):
    """The namespace has no queue at that address."""


class Namespace:
    """All queues and their dead-letter queues, with what the store kept of them."""

    def __init__(
        self, queues: Iterable[QueueSettings], clock: Clock, store: SqliteQueueStore
    ) -> None:
        self._queues: dict[str, Queue] = {}
        for settings in queues:
            queue = Queue(settings, clock, store)
            for each in (queue, queue.dead_letters):
                if each is not None:
                    self._queues[each.name] = each
                    each.restore(
                        store.messages(each.name),
                        store.seen_message_ids(each.name),
                        store.last_sequence_number(each.name),
                    )

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues.values())

    def queue(self, path: str) -> Queue:
        """Return the queue at *path*, such as `Name` or `name/$DeadLetterQueue`, in any case.

        Raises `EntityNotFound`.
        """
        queue = self._queues.get(path.lower())
        if queue is None:
            raise EntityNotFound(f"The messaging entity '{path}' could not be found.")
        return queue

    def advance(self) -> None:
        """Does in every queue what time has brought."""
        for queue in self:
            queue.advance()

    def next_change(self) -> datetime | None:
        """Return when `advance` will have something to do, or None."""
        changes = (queue.next_change() for queue in self)
        return min((change for change in changes if change is not None), default=None)
