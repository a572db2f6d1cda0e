"""Every change that a flow job made or meant to make, as its rows tell, with hashes of both sides.

A definition's hash is its digest (comparison.py); that of a place at a caller is the SHA-256 of
what stands there, the signature replaced by a hash of its own. None tells a secret.
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
    """What was done."""

    COPY_CREATED = "copy_created"
    CONVERTED = "converted"
    ADDED_TO_SOLUTION = "added_to_solution"
    TURNED = "turned"
    CALLER_UPDATED = "caller_updated"
    CALLER_PUT_BACK = "caller_put_back"
    ORIGINAL_DELETED = "original_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """One change at one place."""

    #: When it was noted; of a caller that is before it was made. None: it was not kept.
    at: datetime | None
    kind: ChangeKind
    #: What was changed, for people.
    place: str
    #: How it stands now: a caller's `CallerState`, or whether a read has shown it.
    state: str
    #: SHA-256 in hex; empty: nothing was there, or it is not known.
    before: str = ""
    after: str = ""
    #: What a caller named and names: ids of trigger URLs or flows; of a turn whether it is on.
    old: str = ""
    new: str = ""


def list_change_records(
    job: FlowJob,
    callers: Iterable[CallerRecord],
    intents: Iterable[CallerEditIntent],
    deletion: Deletion | None,
    *,
    converted: str = "",
) -> list[ChangeRecord]:
    """Return the changes of one job in the order of time; first what has none.

    `intents` in the order of their keys. `converted` is the digest of the definition that an
    original was changed to.
    """
    records = {record.id: record for record in callers}
    changes = [
        *_of_flows(job, converted),
        *_of_callers(records, intents),
        *_of_deletion(job, deletion),
    ]
    return sorted(changes, key=lambda one: one.at or _NO_TIME)


def _of_flows(job: FlowJob, converted: str) -> Iterator[ChangeRecord]:
    title, copy_title = job.title_of(job.original_id), job.title_of(job.copy_id)
    if job.copy_digest:
        yield ChangeRecord(
            at=_when(job, FlowJobState.COPIED),
            kind=ChangeKind.COPY_CREATED,
            place=copy_title,
            state="left, off" if job.copy_is_left else "read back",
            before=job.original_digest,
            after=job.copy_digest,
        )
    prepared = _when(job, FlowJobState.PREPARED)
    if prepared and converted:
        yield ChangeRecord(
            at=prepared,
            kind=ChangeKind.CONVERTED,
            place=title,
            state="written back" if job.is_undone else "read back",
            before=job.original_digest,
            after=converted,
        )
    if job.asked_at:
        state = "read back" if prepared else "asked for"
        yield ChangeRecord(
            at=job.asked_at, kind=ChangeKind.ADDED_TO_SOLUTION, place=title, state=state
        )
    for place, sent in ((title, job.original_sent), (copy_title, job.copy_sent)):
        if sent:
            yield ChangeRecord(
                at=sent.first,
                kind=ChangeKind.TURNED,
                place=place,
                state="read back" if sent.is_seen else "sent",
                new=sent.state,
            )


def _when(job: FlowJob, state: FlowJobState) -> datetime | None:
    """Return when the job came into a state for the last time, as far as its history goes back."""
    return next((change.at for change in reversed(job.history) if change.state == state), None)


def _of_callers(
    records: Mapping[str, CallerRecord], intents: Iterable[CallerEditIntent]
) -> Iterator[ChangeRecord]:
    standing: dict[str, tuple[caller_edit.CallerEdit, ...]] = defaultdict(tuple)
    for intent in intents:
        record = records.get(intent.caller_id)
        place = record.caller.label if record else intent.caller_id
        state = str(record.state) if record else "unknown"
        is_undo = intent.edits == NO_EDITS
        edits = standing[intent.caller_id] if is_undo else caller_edit.edits_from_json(intent.edits)
        if not is_undo:
            before = () if intent.is_first else standing[intent.caller_id]
            standing[intent.caller_id] = caller_edit.merge_edits(before, edits)
        for edit in edits:
            old, new = (_hash(edit.old), edit.old_id), (_hash(edit.new), edit.new_id)
            if is_undo:
                old, new = new, old
            yield ChangeRecord(
                at=intent.noted,
                kind=ChangeKind.CALLER_PUT_BACK if is_undo else ChangeKind.CALLER_UPDATED,
                place=place,
                state=state,
                before=old[0],
                after=new[0],
                old=old[1],
                new=new[1],
            )


def _of_deletion(job: FlowJob, deletion: Deletion | None) -> Iterator[ChangeRecord]:
    if deletion and deletion.deleted_at:
        yield ChangeRecord(
            at=deletion.deleted_at,
            kind=ChangeKind.ORIGINAL_DELETED,
            place=job.display_name,
            state="read back" if deletion.state is DeletionState.DELETED else str(deletion.state),
            before=job.original_digest,
        )


def _hash(masked: str) -> str:
    return hashlib.sha256(masked.encode("utf-8", "surrogatepass")).hexdigest()
