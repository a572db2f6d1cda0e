"""Compare the audit entries in an evidence file with their seals in the same file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader

from pydantic import ValidationError

from shared.domain.audit import AuditEntry, build_boundary_key
from shared.domain.audit_seal import (
    SEALS_FILE,
    AuditSeal,
    SealedEntry,
    build_entry_list_name,
    find_chain_differences,
    format_sealed_entries,
    hash_text,
    parse_seal,
    parse_sealed_entries,
)
from shared.domain.evidence_file import AUDIT_DIFFERENCES, read_files
from shared.signatures import compute_fingerprint, is_signature_valid
from shared.state.rows import get_type_adapter


@dataclass(slots=True, kw_only=True)
class EvidenceFindings:
    """Problems of an evidence file, and what its checks show."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What the checks show together; they hold only if nothing is wrong.
    conclusions: list[str] = field(default_factory=list)

    def merge_findings(self, more: "EvidenceFindings") -> None:
        self.problems += more.problems
        self.notes += more.notes
        self.conclusions += more.conclusions

    @property
    def lines(self) -> list[str]:
        """Return one line for each finding. Conclusions are left out if there is a problem."""
        shown = [] if self.problems else self.conclusions
        return [" ".join(one.splitlines()) for one in (*self.problems, *self.notes, *shown)]


_AUDIT_FILE = "audit.jsonl"


def check_seals(file: BufferedReader, manifest: bytes) -> EvidenceFindings:
    """Compare the audit entries in an evidence file with their seals. Raises `ValueError` if they
    cannot be read.
    """
    files = read_files(file, lambda name: name.startswith((_AUDIT_FILE, "audit-seals/")))
    problems = [
        f"Found by the app at the export: {text}."
        for text in json.loads(manifest).get(AUDIT_DIFFERENCES, ())
    ]
    seals = [parse_seal(line) for line in files.get(SEALS_FILE, b"").splitlines()]
    entries = [_build_sealed_entry(line) for line in files.get(_AUDIT_FILE, b"").splitlines()]
    problems += find_chain_differences(seals, is_signature_valid)
    problems += _find_seal_problems(seals, files)
    if not seals:
        notes = [f"Audit log: none of its {len(entries)} entries in this file is sealed."]
        return EvidenceFindings(problems=problems, notes=notes if entries else [])
    newest = build_boundary_key(seals[-1].ends_at)
    sealed = [one for one in entries if one.key >= newest]
    listed = {one for seal in seals for one in _parse_entries_of_seal(seal, files)}
    problems += [f"Audit entry {one.key} is not in its seal" for one in sealed if one not in listed]
    span = f"seals {seals[0].number} to {seals[-1].number}"
    notes = [f"Audit log: {len(sealed)} of {len(entries)} entries are sealed, by {span}."]
    for seal in seals:
        statement = seal.statement
        if statement.is_longer_than_a_day and statement.begins_at:
            notes.append(
                f"Seal {seal.number} covers {(statement.ends_at - statement.begins_at).days} days "
                "instead of one: the app or the key vault was not available, or earlier seals were "
                "deleted."
            )
    keys = {compute_fingerprint(seal.signature.public_key): seal.signature.key_id for seal in seals}
    notes += [f"Seals are signed with {key_id} (SHA-256 {one})" for one, key_id in keys.items()]
    return EvidenceFindings(problems=problems, notes=notes)


def _find_seal_problems(seals: list[AuditSeal], files: dict[str, bytes]) -> Iterator[str]:
    for seal in seals:
        name = build_entry_list_name(seal.statement)
        content = format_sealed_entries(_parse_entries_of_seal(seal, files))
        if name not in files or hash_text(content.decode()) != seal.statement.entries_sha256:
            yield f"{name} is missing or was changed: it does not match seal {seal.number}"


def _parse_entries_of_seal(seal: AuditSeal, files: dict[str, bytes]) -> list[SealedEntry]:
    return parse_sealed_entries(files.get(build_entry_list_name(seal.statement), b""))


def _build_sealed_entry(line: bytes) -> SealedEntry:
    text = line.decode()
    try:
        entry = get_type_adapter(AuditEntry).validate_json(text)
    except ValidationError:
        raise ValueError("an audit entry cannot be read") from None
    return SealedEntry(key=entry.sort_key, sha256=hash_text(text))
