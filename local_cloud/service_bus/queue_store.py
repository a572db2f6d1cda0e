"""Store the queues in SQLite, so that a killed process loses nothing that it has confirmed.

Changes are collected in memory; `commit` writes them as one transaction. The server commits once
per turn of its event loop and always before it sends, so a client gets no answer that could be
lost. `synchronous=NORMAL` with a write-ahead log survives the end of the process, not of the
machine.
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local_cloud.service_bus.queue_messages import DeadLettering, QueuedMessage, SentMessage

_SCHEMA = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS message (
    queue TEXT NOT NULL,
    sequence_number INTEGER NOT NULL,
    enqueued_sequence_number INTEGER NOT NULL,
    payload BLOB NOT NULL,
    message_id TEXT,
    time_to_live REAL,
    requested_for REAL,
    enqueued_at REAL NOT NULL,
    expires_at REAL,
    scheduled_for REAL,
    delivery_count INTEGER NOT NULL,
    is_deferred INTEGER NOT NULL,
    is_dead_letter INTEGER NOT NULL,
    dead_letter_reason TEXT,
    dead_letter_description TEXT,
    PRIMARY KEY (queue, sequence_number)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS seen_message_id (
    queue TEXT NOT NULL,
    message_id TEXT NOT NULL,
    seen_at REAL NOT NULL,
    PRIMARY KEY (queue, message_id)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS last_sequence_number (
    queue TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
"""


class QueueStoreUnavailable(OSError):
    """The file cannot be opened, is not a database of queues, or is used by another process."""


class SqliteQueueStore:
    """Stores all queues in an SQLite database. Only the thread that created it may use it."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the database at *path* exclusively; None creates it in memory.

        Raises `QueueStoreUnavailable`.
        """
        try:
            self._database = _open_database(path)
        except sqlite3.DatabaseError as error:
            raise QueueStoreUnavailable(f"{path}: {error}") from error
        self._messages: dict[tuple[str, int], QueuedMessage | None] = {}
        self._seen: dict[tuple[str, str], datetime | None] = {}
        self._last_numbers: dict[str, int] = {}

    def save(self, queue: str, message: QueuedMessage) -> None:
        self._messages[queue, message.sequence_number] = message

    def remove(self, queue: str, sequence_number: int) -> None:
        self._messages[queue, sequence_number] = None

    def save_message_id(self, queue: str, message_id: str, seen_at: datetime) -> None:
        self._seen[queue, message_id] = seen_at

    def remove_message_id(self, queue: str, message_id: str) -> None:
        self._seen[queue, message_id] = None

    def save_last_number(self, queue: str, last_sequence_number: int) -> None:
        self._last_numbers[queue] = last_sequence_number

    def commit(self) -> None:
        """Write all changes since the last commit, or none of them."""
        if not (self._messages or self._seen or self._last_numbers):
            return
        with self._database:
            self._write_changes()
        self._messages.clear()
        self._seen.clear()
        self._last_numbers.clear()

    def _write_changes(self) -> None:
        execute_many = self._database.executemany
        execute_many(
            "DELETE FROM message WHERE queue = ? AND sequence_number = ?",
            [key for key, message in self._messages.items() if message is None],
        )
        execute_many(
            "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_build_row(queue, m) for (queue, _), m in self._messages.items() if m is not None],
        )
        execute_many(
            "DELETE FROM seen_message_id WHERE queue = ? AND message_id = ?",
            [key for key, seen_at in self._seen.items() if seen_at is None],
        )
        execute_many(
            "INSERT OR REPLACE INTO seen_message_id VALUES (?, ?, ?)",
            [(*key, at.timestamp()) for key, at in self._seen.items() if at is not None],
        )
        execute_many(
            "INSERT OR REPLACE INTO last_sequence_number VALUES (?, ?)",
            list(self._last_numbers.items()),
        )

    def read_messages(self, queue: str) -> Iterator[QueuedMessage]:
        rows = self._database.execute(
            "SELECT * FROM message WHERE queue = ? ORDER BY sequence_number", (queue,)
        )
        return map(_build_message, rows)

    def read_message_ids(self, queue: str) -> Iterator[tuple[str, datetime]]:
        rows = self._database.execute(
            "SELECT message_id, seen_at FROM seen_message_id WHERE queue = ?", (queue,)
        )
        return ((message_id, _parse_moment(seen_at)) for message_id, seen_at in rows)

    def read_last_sequence_number(self, queue: str) -> int:
        """Return the last assigned number of *queue*, or 0 for a new queue."""
        row = self._database.execute(
            "SELECT number FROM last_sequence_number WHERE queue = ?", (queue,)
        ).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        self.commit()
        self._database.close()


def _open_database(path: Path | None) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", autocommit=True, timeout=1.0)
    try:
        database.executescript(_SCHEMA)  # a journal mode is set outside of a transaction
    except sqlite3.DatabaseError:
        database.close()
        raise
    database.autocommit = False
    return database


def _build_row(queue: str, message: QueuedMessage) -> tuple[Any, ...]:
    sent = message.sent
    dead = message.dead_lettering
    return (
        queue,
        message.sequence_number,
        message.enqueued_sequence_number,
        sent.payload,
        sent.message_id,
        None if sent.time_to_live is None else sent.time_to_live.total_seconds(),
        _format_seconds(sent.scheduled_for),
        _format_seconds(message.enqueued_at),
        _format_seconds(message.expires_at),
        _format_seconds(message.scheduled_for),
        message.delivery_count,
        message.is_deferred,
        dead is not None,
        dead.reason if dead else None,
        dead.description if dead else None,
    )


def _build_message(row: tuple[Any, ...]) -> QueuedMessage:
    (_, number, enqueued_number, payload, message_id, time_to_live, requested_for) = row[:7]
    (enqueued_at, expires_at, scheduled_for, delivery_count, is_deferred) = row[7:12]
    (is_dead, reason, description) = row[12:]
    return QueuedMessage(
        sequence_number=number,
        enqueued_sequence_number=enqueued_number,
        sent=SentMessage(
            payload=payload,
            message_id=message_id,
            time_to_live=None if time_to_live is None else timedelta(seconds=time_to_live),
            scheduled_for=None if requested_for is None else _parse_moment(requested_for),
        ),
        enqueued_at=_parse_moment(enqueued_at),
        expires_at=None if expires_at is None else _parse_moment(expires_at),
        scheduled_for=None if scheduled_for is None else _parse_moment(scheduled_for),
        delivery_count=delivery_count,
        is_deferred=bool(is_deferred),
        dead_lettering=DeadLettering(reason=reason, description=description) if is_dead else None,
    )


def _format_seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _parse_moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
