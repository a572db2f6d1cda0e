"""Store all queues, and find them by the addresses that clients attach links to."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.service_bus.queue_model import Clock, Queue
from local_cloud.service_bus.queue_store import SqliteQueueStore


class EntityNotFound(LookupError):
    """The namespace has no queue at this address."""


class ClaimMissing(PermissionError):
    """The settings of the queue do not grant clients this claim, such as `Send`."""


class Namespace:
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
                        store.read_messages(each.name),
                        store.read_message_ids(each.name),
                        store.read_last_sequence_number(each.name),
                    )

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues.values())

    def get_queue(self, path: str, claim: str = "") -> Queue:
        """Return the queue at *path*, such as `name` or `name/$DeadLetterQueue`. Ignores case.

        Raises `EntityNotFound` if there is none, and `ClaimMissing` if its settings do not grant
        *claim*.
        """
        queue = self._queues.get(path.lower())
        if queue is None:
            raise EntityNotFound(f"The messaging entity '{path}' could not be found.")
        if claim and claim not in queue.settings.claims:
            raise ClaimMissing(
                f"Unauthorized access. '{claim}' claim(s) are required to perform this operation."
                f" Resource: 'sb://localhost/{path}'."
            )
        return queue

    def advance(self) -> None:
        for queue in self:
            queue.advance()

    def find_next_change(self) -> datetime | None:
        """Return when `advance` may next have an effect, or None."""
        changes = (queue.find_next_change() for queue in self)
        return min((change for change in changes if change is not None), default=None)
