"""Check rows against the limits of Azure Table storage before they are sent.

All stores check them, so that a row that fits SQLite also fits a storage account
(learn.microsoft.com, "Understanding the Table service data model").
"""

import functools
import json
import re
from collections.abc import Sequence

from shared.ports import Condition, DeleteRow, Operation, ReplaceRow, Scalar, StoreRow

LONGEST_TEXT = 32 * 1024  # UTF-16 units: 64 KiB
LONGEST_KEY = 512  # UTF-16 units: 1 KiB
LARGEST_ROW = 1024 * 1024  # bytes
LARGEST_BATCH = 100  # rows
LARGEST_REQUEST = 4 * 1024 * 1024  # bytes of a batch as it is sent
MOST_COLUMNS = 252

_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_NO_KEY = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_RESERVED = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})


def require_valid_batch(operations: Sequence[Operation]) -> None:
    """Raise `ValueError` if Table storage would reject these operations as one batch."""
    rows = [operation.row for operation in operations]
    if not rows:
        raise ValueError("an empty batch is not allowed")
    if len(rows) > LARGEST_BATCH:
        raise ValueError(f"a batch has at most {LARGEST_BATCH} rows, not {len(rows)}")
    if len({(row.table, row.partition) for row in rows}) > 1:
        raise ValueError("a batch must be in one partition of one table")
    if len({row.key for row in rows}) < len(rows):
        raise ValueError("a batch must contain each row only once")
    if len(rows) > 1 and sum(map(_count_bytes_sent, rows)) > LARGEST_REQUEST:
        raise ValueError("a batch has at most 4 MiB")
    for operation in operations:
        require_valid_entity_key(operation.row.table, operation.row.partition, operation.row.key)
        if isinstance(operation, ReplaceRow) and not operation.row.etag:
            raise ValueError("a row without an ETag was never stored and cannot be replaced")
        if not isinstance(operation, DeleteRow):
            _require_valid_columns(operation.row)


@functools.lru_cache(4096)  # a job's rows are read and written again and again
def require_valid_entity_key(table: str, partition: str, key: str | None = None) -> None:
    """Raise `ValueError` for names that Table storage does not accept."""
    if not _TABLE.fullmatch(table):
        raise ValueError(f"{table!r} is not a valid table name")
    for text in (partition,) if key is None else (partition, key):
        if _NO_KEY.search(text):
            raise ValueError(f"the key {text!r} contains a character that Table storage rejects")
        if _count_utf16_units(text) > LONGEST_KEY:
            raise ValueError(f"a key has at most {LONGEST_KEY} characters")


def _count_bytes_sent(row: StoreRow) -> int:
    return len(json.dumps(dict(row.columns), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def require_valid_conditions(where: Sequence[Condition]) -> None:
    """Raise `ValueError` for an invalid condition on a column."""
    for condition in where:
        if condition.op not in _COMPARISONS:
            raise ValueError(f"{condition.op!r} is not a comparison operator")
        _require_valid_column_name(condition.column)


def _require_valid_columns(row: StoreRow) -> None:
    if len(row.columns) > MOST_COLUMNS:
        raise ValueError(f"a row has at most {MOST_COLUMNS} columns")
    size = 4 + 2 * (_count_utf16_units(row.partition) + _count_utf16_units(row.key))
    for name, value in row.columns.items():
        _require_valid_column_name(name)
        size += 8 + 2 * len(name) + _measure_column_size(name, value)
    if size > LARGEST_ROW:
        raise ValueError(f"a row has at most 1 MiB, not {size} bytes")


@functools.lru_cache(256)  # the names are those of the code
def _require_valid_column_name(name: str) -> None:
    if name in _RESERVED or not _COLUMN.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid column name")


def _measure_column_size(name: str, value: Scalar) -> int:
    """Return the size of a value in bytes, by the formula of Table storage."""
    match value:
        case bool():
            return 1
        case int():
            if not -(2**63) <= value < 2**63:
                raise ValueError(f"column {name!r} has a number of more than 64 bits")
            return 8
        case float():
            return 8
        case str():
            units = _count_utf16_units(value)
            if units > LONGEST_TEXT:
                raise ValueError(f"column {name!r} has {units} characters, more than 64 KiB")
            return 4 + 2 * units
        case _:
            raise ValueError(f"column {name!r} has unsupported type {type(value).__name__}")


def _count_utf16_units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
