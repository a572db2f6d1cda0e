"""Keep the MessageIds of a queue, to detect a message that is sent twice."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol


class HistoryJournal(Protocol):
    """Stores the MessageIds, so that they outlive the process."""

    def save_message_id(self, queue: str, message_id: str, seen_at: datetime) -> None: ...

    def remove_message_id(self, queue: str, message_id: str) -> None:
        """Remove a MessageId whose window is over."""


class DuplicateHistory:
    """The MessageIds that a queue has seen within its duplicate detection window, oldest first.

    The window begins with the first message of an id; duplicates do not extend it.
    """

    def __init__(self, queue: str, window: timedelta | None, journal: HistoryJournal) -> None:
        self._queue = queue
        self._window = window
        self._journal = journal
        self._seen: OrderedDict[str, datetime] = OrderedDict()

    def check_and_record(self, message_id: str | None, now: datetime) -> bool:
        """Return whether *message_id* is a duplicate. Records it if it is not."""
        if self._window is None or message_id is None:
            return False
        self._remove_before(now - self._window)
        if message_id in self._seen:
            return True
        self._seen[message_id] = now
        self._journal.save_message_id(self._queue, message_id, now)
        return False

    def restore(self, seen: Iterable[tuple[str, datetime]]) -> None:
        """Restore the stored MessageIds, in any order."""
        self._seen = OrderedDict(sorted(seen, key=lambda entry: entry[1]))

    def _remove_before(self, limit: datetime) -> None:
        while self._seen:
            message_id, seen_at = next(iter(self._seen.items()))
            if seen_at > limit:
                return
            del self._seen[message_id]
            self._journal.remove_message_id(self._queue, message_id)
