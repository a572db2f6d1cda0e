"""Define seals of the audit log: signed statements about its entries, linked to one another.

A seal covers a span of time. Its statement contains the SHA-256 of the list of all entries of the
span, and the SHA-256 of the statement before it (docs/adr/0024-sealed-audit-log.md).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.signature import Signature

#: Digits of the number of a seal.
_DIGITS = 8
_FORMAT = 1
#: A longer span has a reason: the app or the vault was not available, or seals were deleted.
_USUAL_SPAN = timedelta(days=1)
#: The seals in an evidence file, oldest first.
SEALS_FILE = "audit-seals/seals.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SealedEntry:
    """The key and the digest of a row of the audit log, as a seal lists them."""

    #: Row key.
    key: str
    #: Of the stored text.
    sha256: str


class EntryChange(StrEnum):
    """How an entry of the audit log changed after its seal."""

    REMOVED = "removed"
    ADDED = "added"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealStatement:
    """The signed content of a seal: its span of time (UTC) and the digest of its entries."""

    #: 1: the first seal.
    number: int
    #: Start of the span, included; None: the beginning of the log.
    begins_at: datetime | None
    #: End of the span, excluded.
    ends_at: datetime
    sealed_at: datetime
    entry_count: int
    #: Of the list of entries.
    entries_sha256: str
    #: Of the statement before; empty in the first seal.
    previous_sha256: str

    @property
    def is_longer_than_a_day(self) -> bool:
        """Return whether the span is longer than a day. Always False for the first seal."""
        return self.begins_at is not None and self.ends_at - self.begins_at > _USUAL_SPAN


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSeal:
    """A stored seal: the text of its statement and the signature of that text."""

    number: int
    ends_at: datetime
    #: The signed text: a `SealStatement` as JSON.
    text: str
    signature: Signature

    @property
    def sort_key(self) -> str:
        """Return the row key, which sorts the newest seal first."""
        return f"{10**_DIGITS - self.number:0{_DIGITS}}"

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the statement, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statement(self) -> SealStatement:
        """Return the parsed statement. Raises `ValueError` if the text is not one."""
        return parse_statement(self.text)


def hash_text(text: str) -> str:
    """Return the SHA-256 of a stored text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def format_sealed_entries(entries: Sequence[SealedEntry]) -> bytes:
    """Format the entries of a seal as lines with digest and key, sorted by key.

    Keys are JSON strings, so that each key stays in one line.
    """
    return "".join(f"{one.sha256} {json.dumps(one.key)}\n" for one in sorted(entries)).encode()


def parse_sealed_entries(content: bytes) -> list[SealedEntry]:
    """Parse the list of entries of a seal. Raises `ValueError` if a line is malformed."""
    lines = (line.partition(" ") for line in content.decode().splitlines())
    return [SealedEntry(key=json.loads(key), sha256=sha256) for sha256, _, key in lines]


def build_entry_list_name(statement: SealStatement) -> str:
    """Return the file name of a seal's list of entries, in the archive and in an evidence file."""
    number = f"{statement.number:0{_DIGITS}}"
    return f"audit-seals/{number}-{statement.entries_sha256[:16]}.txt"


def format_seal(seal: AuditSeal) -> bytes:
    """Format a seal as a line of an evidence file."""
    content = {"text": seal.text, "signature": asdict(seal.signature)}
    return json.dumps(content, sort_keys=True).encode() + b"\n"


def parse_seal(line: bytes) -> AuditSeal:
    """Parse the line of a seal in an evidence file. Raises `ValueError` if it is malformed."""
    try:
        read = json.loads(line)
        statement = parse_statement(read["text"])
        return AuditSeal(
            number=statement.number,
            ends_at=statement.ends_at,
            text=read["text"],
            signature=Signature(**read["signature"]),
        )
    except (KeyError, TypeError) as err:
        raise ValueError(f"the line is not a seal: {err}") from err


def build_statement(
    previous: AuditSeal | None,
    entries: Sequence[SealedEntry],
    *,
    ends_at: datetime,
    sealed_at: datetime,
) -> SealStatement:
    """Return the statement for the next span of time. `previous` is the seal before it, or None."""
    return SealStatement(
        number=previous.number + 1 if previous else 1,
        begins_at=previous.ends_at if previous else None,
        ends_at=ends_at,
        sealed_at=sealed_at,
        entry_count=len(entries),
        entries_sha256=hashlib.sha256(format_sealed_entries(entries)).hexdigest(),
        previous_sha256=previous.sha256 if previous else "",
    )


def format_statement(statement: SealStatement) -> str:
    """Return the text of a statement, which is the text to sign."""
    content = {"format": _FORMAT, **asdict(statement)}
    return json.dumps(content, sort_keys=True, default=lambda at: at.isoformat())


def parse_statement(text: str) -> SealStatement:
    """Parse the text of a statement. Raises `ValueError` if it is not one."""
    try:
        read = json.loads(text)
        if read.pop("format") != _FORMAT:
            raise ValueError("the seal has an unknown format")
        times = {name: _parse_time(read[name]) for name in ("begins_at", "ends_at", "sealed_at")}
        return SealStatement(**{**read, **times})
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"the text is not a seal: {err}") from err


def find_chain_differences(
    seals: Sequence[AuditSeal], is_valid: Callable[[Signature, bytes], bool]
) -> Iterator[str]:
    """Yield a text for each fault in a chain of seals, which are sorted by number.

    A fault is a seal that is missing, changed or without a valid signature, or that does not follow
    the seal before it. Stops at a seal that cannot be read.
    """
    before: AuditSeal | None = None
    for seal in seals:
        name = f"Seal {seal.number} of the audit log"
        try:
            statement = seal.statement
        except ValueError as err:
            yield f"{name} cannot be read: {err}"
            return
        if not is_valid(seal.signature, seal.text.encode()):
            yield f"{name} does not have a valid signature"
        if (statement.number, statement.ends_at) != (seal.number, seal.ends_at):
            yield f"{name} was changed: its statement is about seal {statement.number}"
        if before is None:
            if (statement.number == 1) != (statement.previous_sha256 == ""):
                yield f"{name} names a wrong seal before it"
        elif statement.number != before.number + 1:
            first, last = before.number + 1, statement.number - 1
            missing = f"Seal {first} is" if first == last else f"Seals {first} to {last} are"
            yield f"{missing} missing"
        elif (statement.previous_sha256, statement.begins_at) != (before.sha256, before.ends_at):
            yield f"{name} does not follow seal {before.number}"
        before = seal


def find_entry_differences(
    statement: SealStatement, listed: bytes | None, present: Sequence[SealedEntry]
) -> Iterator[str]:
    """Yield texts about the differences between a seal and the entries of its span of time.

    `listed` is the list of entries that was stored with the seal, or None if it is missing.
    """
    if hashlib.sha256(format_sealed_entries(present)).hexdigest() == statement.entries_sha256:
        return
    name = f"Seal {statement.number} of the audit log"
    if listed is None or hashlib.sha256(listed).hexdigest() != statement.entries_sha256:
        yield (
            f"{name} has {statement.entry_count} entries, and the audit log has other ones now "
            f"({len(present)}); the list of entries that would name them is missing"
        )
        return
    for key, change in compare_entries(parse_sealed_entries(listed), present):
        yield f"Audit entry {key} was {change} after seal {statement.number}"
    if len({one.key for one in present}) != len(present):
        yield f"{name} covers an entry that is in the audit log twice"


def compare_entries(
    listed: Iterable[SealedEntry], present: Iterable[SealedEntry]
) -> Iterator[tuple[str, EntryChange]]:
    """Yield the key of each entry that differs from the list of a seal, and how."""
    sealed = {one.key: one.sha256 for one in listed}
    now = {one.key: one.sha256 for one in present}
    for key in sorted(sealed.keys() | now.keys()):
        if key not in now:
            yield key, EntryChange.REMOVED
        elif key not in sealed:
            yield key, EntryChange.ADDED
        elif sealed[key] != now[key]:
            yield key, EntryChange.CHANGED


def _parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
