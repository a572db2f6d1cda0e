"""Remembers the MessageIds of a queue for the time in which the same one is a duplicate."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol


class HistoryJournal(Protocol):
    """Keeps the MessageIds beyond the process."""

    def remember(self, queue: str, message_id: str, seen_at: datetime) -> None:
        """Keep a MessageId."""

    def forget(self, queue: str, message_id: str) -> None:
        """Drop one whose time has passed."""


class DuplicateHistory:
    """The MessageIds of one queue, oldest first.

    The window runs from the first message of an id; a duplicate does not prolong it, nor does it
    matter what became of that message.
    """

    def __init__(self, queue: str, window: timedelta | None, journal: HistoryJournal) -> None:
        self._queue = queue
        self._window = window
        self._journal = journal
        self._seen: OrderedDict[str, datetime] = OrderedDict()

    def has_seen(self, message_id: str | None, now: datetime) -> bool:
        """Say whether *message_id* is a duplicate; if it is not, it is remembered from now on."""
        if self._window is None or message_id is None:
            return False
        self._forget_before(now - self._window)
        if message_id in self._seen:
            return True
        self._seen[message_id] = now
        self._journal.remember(self._queue, message_id, now)
        return False

    def restore(self, seen: Iterable[tuple[str, datetime]]) -> None:
        """Take back what the journal kept, in any order."""
        self._seen = OrderedDict(sorted(seen, key=lambda entry: entry[1]))

    def _forget_before(self, limit: datetime) -> None:
        while self._seen:
            message_id, seen_at = next(iter(self._seen.items()))
            if seen_at > limit:
                return
            del self._seen[message_id]
            self._journal.forget(self._queue, message_id)
