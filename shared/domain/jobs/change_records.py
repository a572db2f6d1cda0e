"""List the changes of a flow job, with hashes of the values before and after.

The list includes changes that the job only intended. A definition's hash is its digest
(comparison.py). The hash of a caller's reference is the SHA-256 of its text, in which the signature
is replaced by its own hash.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from shared.domain.callers import caller_edit
from shared.domain.callers.caller_records import NO_EDITS, CallerEditIntent, CallerRecord
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState

_NO_TIME = datetime.min.replace(tzinfo=UTC)


class ChangeKind(StrEnum):
    """What a flow job did to a flow or to a caller."""

    COPY_CREATED = "copy_created"
    CONVERTED = "converted"
    ADDED_TO_SOLUTION = "added_to_solution"
    TURNED_ON_OR_OFF = "turned_on_or_off"
    CALLER_UPDATED = "caller_updated"
    CALLER_REVERTED = "caller_reverted"
    ORIGINAL_DELETED = "original_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """A change of one flow or caller by a flow job."""

    #: When it was recorded; a caller edit is recorded before it is made. None: not recorded.
    changed_at: datetime | None
    kind: ChangeKind
    #: What was changed, for people.
    location: str
    #: The current state: a caller's `CallerState`, or whether the change was read back.
    state: str
    #: SHA-256 in hex; empty: there was no value, or it is unknown.
    hash_before: str = ""
    hash_after: str = ""
    #: The ids of trigger URLs or flows that a caller named before and after; for turning a flow on
    #: or off, the new state.
    id_before: str = ""
    id_after: str = ""


def list_change_records(
    job: FlowJob,
    callers: Iterable[CallerRecord],
    intents: Iterable[CallerEditIntent],
    deletion: Deletion | None,
    *,
    converted: str = "",
) -> list[ChangeRecord]:
    """Return the changes of a job in the order of their times. Those without a time come first.

    `intents` are sorted by key. `converted` is the digest of the definition to which an original
    was changed.
    """
    records = {record.id: record for record in callers}
    changes = [
        *_list_flow_changes(job, converted),
        *_list_caller_changes(records, intents),
        *_list_deletion_changes(job, deletion),
    ]
    return sorted(changes, key=lambda one: one.changed_at or _NO_TIME)


def _list_flow_changes(job: FlowJob, converted: str) -> Iterator[ChangeRecord]:
    title, copy_title = job.format_flow_title(job.original.id), job.format_flow_title(job.copy.id)
    if job.copy.digest:
        yield ChangeRecord(
            changed_at=_find_entered_at(job, FlowJobState.COPIED),
            kind=ChangeKind.COPY_CREATED,
            location=copy_title,
            state="kept, off" if job.copy.is_kept_off else "read back",
            hash_before=job.original.digest,
            hash_after=job.copy.digest,
        )
    prepared = _find_entered_at(job, FlowJobState.PREPARED)
    if prepared and converted:
        yield ChangeRecord(
            changed_at=prepared,
            kind=ChangeKind.CONVERTED,
            location=title,
            state="reverted" if job.is_withdrawn else "read back",
            hash_before=job.original.digest,
            hash_after=converted,
        )
    if job.solution_requested_at:
        state = "read back" if prepared else "requested"
        yield ChangeRecord(
            changed_at=job.solution_requested_at,
            kind=ChangeKind.ADDED_TO_SOLUTION,
            location=title,
            state=state,
        )
    for place, sent in ((title, job.original.last_write), (copy_title, job.copy.last_write)):
        if sent:
            yield ChangeRecord(
                changed_at=sent.first_sent_at,
                kind=ChangeKind.TURNED_ON_OR_OFF,
                location=place,
                state="read back" if sent.is_confirmed else "sent",
                id_after=sent.state,
            )


def _find_entered_at(job: FlowJob, state: FlowJobState) -> datetime | None:
    return next(
        (change.changed_at for change in reversed(job.history) if change.state == state), None
    )


def _list_caller_changes(
    records: Mapping[str, CallerRecord], intents: Iterable[CallerEditIntent]
) -> Iterator[ChangeRecord]:
    active: dict[str, tuple[caller_edit.CallerEdit, ...]] = defaultdict(tuple)
    for intent in intents:
        record = records.get(intent.caller_id)
        place = record.caller.label if record else intent.caller_id
        state = str(record.state) if record else "unknown"
        is_revert = intent.edits == NO_EDITS
        edits = active[intent.caller_id] if is_revert else caller_edit.parse_edits(intent.edits)
        if not is_revert:
            before = () if intent.is_first_edit else active[intent.caller_id]
            active[intent.caller_id] = caller_edit.merge_edits(before, edits)
        for edit in edits:
            old, new = (
                (_hash_masked_definition(edit.old), edit.old_id),
                (_hash_masked_definition(edit.new), edit.new_id),
            )
            if is_revert:
                old, new = new, old
            yield ChangeRecord(
                changed_at=intent.noted_at,
                kind=ChangeKind.CALLER_REVERTED if is_revert else ChangeKind.CALLER_UPDATED,
                location=place,
                state=state,
                hash_before=old[0],
                hash_after=new[0],
                id_before=old[1],
                id_after=new[1],
            )


def _list_deletion_changes(job: FlowJob, deletion: Deletion | None) -> Iterator[ChangeRecord]:
    if deletion and deletion.deleted_at:
        yield ChangeRecord(
            changed_at=deletion.deleted_at,
            kind=ChangeKind.ORIGINAL_DELETED,
            location=job.display_name,
            state="read back" if deletion.state is DeletionState.DELETED else str(deletion.state),
            hash_before=job.original.digest,
        )


def _hash_masked_definition(masked: str) -> str:
    return hashlib.sha256(masked.encode("utf-8", "surrogatepass")).hexdigest()
