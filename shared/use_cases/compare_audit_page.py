"""Compare a page of the audit log with the seals of the time that it covers.

Reads stored rows and the lists of the seals, not the vault. Only the evidence of a remediation
compares the public keys (read_audit_evidence.py).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.audit import build_boundary_key, parse_key_time
from shared.domain.audit_seal import (
    AuditSeal,
    EntryChange,
    SealedEntry,
    SealStatement,
    build_entry_list_name,
    compare_entries,
    find_chain_differences,
    parse_sealed_entries,
)
from shared.errors import NotFound, UnreadableRow
from shared.services import Services
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.seal_audit_log import SEALS
from shared.use_cases.show_audit import AuditPage

#: Most seals whose entries are compared, and most entries in the list of one.
_SEALS_COMPARED = 100
_ENTRIES_COMPARED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryDifference:
    """An entry of the audit log that differs from its seal."""

    #: None: the seal names a row whose key has no time.
    recorded_at: datetime | None
    key: str
    change: EntryChange
    seal_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSeals:
    """What the seals show about the entries on one page of the audit log."""

    #: Whether the app has a key with which it can seal.
    has_key: bool
    #: The newest seal; None: nothing is sealed.
    last: AuditSeal | None
    #: Seals of the time that the page covers, newest first.
    seals: tuple[AuditSeal, ...]
    #: Entries that differ from their seals.
    entries: tuple[EntryDifference, ...]
    #: What is wrong with the seals themselves.
    problems: tuple[str, ...]
    #: Numbers of seals of that time whose entries were not compared, because they are too many.
    not_compared: tuple[int, ...]
    unreadable_rows: tuple[UnreadableRow, ...]

    def find_seal(self, key: str) -> AuditSeal | None:
        """Return the seal of the entry with this key, or None if it is not sealed."""
        return next((one for one in self.seals if _is_in_span(one, key)), None)


async def compare_audit_page(services: Services, page: AuditPage) -> PageSeals:
    """Return what the seals show about the entries on a page of the audit log."""
    reading = RowReader()
    last, seals = None, list[AuditSeal]()
    begin, end = page.keys
    async for seal in reading.read_readable(services.tables.audit_seals.scan(SEALS)):
        last = last or seal
        first = build_boundary_key(seal.ends_at)
        if first >= end:
            break  # all others are older too
        if _build_key_after_entries(seal) > begin:
            seals.append(seal)
    if not seals:
        problems: list[str] = []
    else:
        # Imported here because only this page and the evidence need cryptography.
        from shared.signatures import is_signature_valid

        problems = list(find_chain_differences(seals[::-1], is_signature_valid))
    entries: list[EntryDifference] = []
    not_compared: list[int] = []
    for number, seal in enumerate(seals):
        statement = _read_statement(seal)
        if statement is None:
            continue  # it is one of the problems
        if number >= _SEALS_COMPARED or statement.entry_count > _ENTRIES_COMPARED:
            not_compared.append(seal.number)
            continue
        listed = await _read_entry_list(services, statement)
        if listed is None:
            problems.append(
                f"The list of entries of seal {seal.number} is missing or was changed, so its "
                "entries cannot be compared"
            )
            continue
        place = (
            max(begin, build_boundary_key(seal.ends_at)),
            min(end, _build_key_after_entries(seal)),
        )
        changes = compare_entries(
            _select_entries_between(listed, place), _select_entries_between(page.rows, place)
        )
        entries += [
            EntryDifference(
                recorded_at=parse_key_time(key), key=key, change=change, seal_number=seal.number
            )
            for key, change in changes
        ]
    return PageSeals(
        has_key=bool(services.settings.evidence_key),
        last=last,
        seals=tuple(seals),
        entries=tuple(entries),
        problems=tuple(problems),
        not_compared=tuple(not_compared),
        unreadable_rows=tuple(reading.unreadable),
    )


def _read_statement(seal: AuditSeal) -> SealStatement | None:
    try:
        return seal.statement
    except ValueError:
        return None


def _build_key_after_entries(seal: AuditSeal) -> str:
    """Return a key that sorts after the keys of all entries of a seal."""
    statement = _read_statement(seal)
    return build_boundary_key(statement.begins_at) if statement and statement.begins_at else "~"


def _is_in_span(seal: AuditSeal, key: str) -> bool:
    return build_boundary_key(seal.ends_at) < key < _build_key_after_entries(seal)


def _select_entries_between(
    entries: Sequence[SealedEntry], place: tuple[str, str]
) -> list[SealedEntry]:
    return [one for one in entries if place[0] < one.key <= place[1]]


async def _read_entry_list(
    services: Services, statement: SealStatement
) -> list[SealedEntry] | None:
    """Return the list of a seal's entries, or None if it is missing or was changed."""
    content = b""
    if statement.entry_count:
        try:
            content = await services.archive.get(build_entry_list_name(statement))
        except NotFound:
            return None
    if hashlib.sha256(content).hexdigest() != statement.entries_sha256:
        return None
    return parse_sealed_entries(content)
