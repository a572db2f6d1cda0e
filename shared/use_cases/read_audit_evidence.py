"""Read the audit entries of a remediation, and compare the audit log with its seals."""

import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.audit import AuditEntry, build_boundary_key
from shared.domain.audit_seal import (
    AuditSeal,
    SealedEntry,
    build_entry_list_name,
    find_chain_differences,
    find_entry_differences,
    format_sealed_entries,
)
from shared.domain.plans.remediation import Remediation
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, NotFound, UnreadableRow
from shared.services import Services
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.seal_audit_log import SEALS, get_audit_text, read_audit_rows

#: App Service ends every request after 230 seconds.
_LONGEST_REQUEST = timedelta(minutes=4)
#: Maximum difference between the position of a rejection in the log and its time.
_OUT_OF_PLACE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealEvidence:
    """What the seals show about the audit log."""

    #: The seals of the days that have entries of the remediation, and those between, oldest first.
    seals: tuple[AuditSeal, ...]
    #: The lists of entries of these seals, by name.
    entry_lists: dict[str, bytes]
    #: What was removed, added or changed in the audit log after it was sealed.
    differences: tuple[str, ...]
    #: Public keys that were not compared with the vault, and the reason.
    unconfirmed: dict[str, str]


@dataclass(slots=True, kw_only=True)
class AuditReader:
    """Reads the audit entries of one remediation, and then compares them with the seals."""

    services: Services
    remediation: Remediation
    reading: RowReader
    #: Seals of the time since the remediation was started, newest first.
    _seals: list[AuditSeal] = field(default_factory=list)
    #: Entries that are in the audit log now, by the position of their seal.
    _present: dict[int, list[SealedEntry]] = field(default_factory=dict)
    #: The first seal of an entry of the remediation, in `_seals`; None: no entry is sealed.
    _newest: int | None = None

    async def read_entries(self) -> AsyncIterator[tuple[AuditEntry, str]]:
        """Yield the audit entries about a remediation, each with its stored text, newest first.

        Includes entries about its environments, and the request that started it.
        """
        since = self.remediation.created_at - _LONGEST_REQUEST
        await self._collect_seals(since - _OUT_OF_PLACE)
        ends = [build_boundary_key(seal.ends_at) for seal in self._seals]
        end = self._build_key_after_entries(since - _OUT_OF_PLACE)
        created, own = self.remediation.created_at, self.remediation.id.lower()
        names = {own, *map(str.lower, self.remediation.environment_ids)}
        found: set[str] = set()
        async for sealed, row in read_audit_rows(self.services):
            if sealed.key >= end:
                return
            position = bisect_right(ends, sealed.key) - 1
            if position >= 0:
                self._present.setdefault(position, []).append(sealed)
            if sealed.key >= build_boundary_key(since - _OUT_OF_PLACE):
                continue  # only a seal needs it
            try:
                entry = self.services.tables.audit_log.parse_row(row).item
            except UnreadableRow as err:
                self.reading.unreadable.append(err)
                continue
            if entry.recorded_at < since:
                continue
            states = f"{entry.state_before} {entry.state_after}"
            searched = f"{entry.target} {entry.request_body} {states}".lower()
            meant = names if entry.recorded_at >= created else {own}
            if entry.id in found or any(name in searched for name in meant):
                found.add(entry.id)
                if position >= 0 and self._newest is None:
                    self._newest = position
                yield entry, get_audit_text(row)

    async def compare_seals(self) -> SealEvidence:
        """Compare the entries that were read with their seals."""
        from shared.signatures import is_signature_valid

        differences = list(find_chain_differences(self._seals[::-1], is_signature_valid))
        differences += self._find_missing_beginning()
        entry_lists: dict[str, bytes] = {}
        for position, seal in reversed(list(enumerate(self._seals))):
            try:
                statement = seal.statement
            except ValueError:
                continue  # it is one of the differences
            present = self._present.get(position, [])
            content = format_sealed_entries(present)
            if hashlib.sha256(content).hexdigest() != statement.entries_sha256:
                listed = await self._read_entry_list(build_entry_list_name(statement))
                differences += find_entry_differences(statement, listed, present)
                content = listed or content
            if self._newest is not None and position >= self._newest:
                entry_lists[build_entry_list_name(statement)] = content
        rejected, unconfirmed = await self._compare_public_keys()
        return SealEvidence(
            seals=() if self._newest is None else tuple(self._seals[self._newest :][::-1]),
            entry_lists=entry_lists,
            differences=(*differences, *rejected),
            unconfirmed=unconfirmed,
        )

    def _find_missing_beginning(self) -> list[str]:
        try:
            begins_at = self._seals[-1].statement.begins_at if self._seals else None
        except ValueError:
            return []  # it is one of the differences
        if begins_at is None or begins_at <= self.remediation.created_at - _LONGEST_REQUEST:
            return []
        return [f"Audit entries before {begins_at:%Y-%m-%d} and their seals were deleted"]

    async def _collect_seals(self, since: datetime) -> None:
        async for seal in self.reading.read_readable(self.services.tables.audit_seals.scan(SEALS)):
            if seal.ends_at <= since:
                return
            self._seals.append(seal)

    def _build_key_after_entries(self, since: datetime) -> str:
        try:
            begins_at = self._seals[-1].statement.begins_at if self._seals else since
        except ValueError:
            begins_at = since
        return build_boundary_key(min(begins_at, since)) if begins_at else "~"

    async def _read_entry_list(self, name: str) -> bytes | None:
        try:
            return await self.services.archive.get(name)
        except NotFound:
            return None

    async def _compare_public_keys(self) -> tuple[list[str], dict[str, str]]:
        """Compare the public keys of the seals with the vault's.

        Returns the differences, and the keys that could not be compared, with the reason. Without
        this comparison, a person with write access to the rows could seal them again with a key
        that has the same id.
        """
        rejected: list[str] = []
        unconfirmed: dict[str, str] = {}
        configured = self.services.settings.evidence_key.rstrip("/")
        by_id: dict[str, list[AuditSeal]] = {}
        for seal in self._seals:
            by_id.setdefault(seal.signature.key_id, []).append(seal)
        for key_id, seals in sorted(by_id.items()):
            if not f"{key_id}/".lower().startswith(f"{configured}/".lower()):
                unconfirmed[key_id] = "it is not a version of the key CMK_EVIDENCE_KEY"
                continue
            try:
                key = await self.services.signing_keys.read(key_id)
            except CmkflowError as err:
                unconfirmed[key_id] = redact(str(err))
                continue
            rejected += [
                f"Seal {seal.number} of the audit log is not signed with the key in the vault"
                for seal in seals
                if seal.signature.public_key != key.public_key
            ]
        return rejected, unconfirmed
