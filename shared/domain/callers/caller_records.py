"""Define the rows about callers, such as their edits and searches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.callers import caller_edit
from shared.domain.callers.caller import Caller
from shared.domain.ids import hash_key
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST

#: No edit was made at a caller.
NO_EDITS = "[]"


class CallerState(StrEnum):
    """The state of the change of a caller."""

    FOUND = "found"
    WRITING = "writing"  #: the change is recorded and may already be written
    UPDATED = "updated"
    NOT_NEEDED = "not_needed"  #: it no longer held a reference to the original
    MANUAL = "manual"  #: only a person can change it
    CHANGED = "changed"  #: a person changed it: it no longer holds a reference to the original
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRecord:
    """The row of a caller of one original, with the state of its change."""

    job_id: str
    id: str
    caller: Caller
    state: CallerState = CallerState.FOUND
    #: As in `CallerEditIntent`; only in rows from before intents were recorded.
    edits: str = NO_EDITS

    @property
    def is_manual(self) -> bool:
        """Return whether only a person can change the caller, or a person has changed it."""
        return self.state in {CallerState.MANUAL, CallerState.CHANGED}

    @property
    def is_pending(self) -> bool:
        """Return whether the caller may still refer to the original instead of the copy."""
        return self.state in {CallerState.FOUND, CallerState.WRITING, CallerState.MANUAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEditIntent:
    """The row of an edit of a caller. It is stored before the edit is made."""

    job_id: str
    caller_id: str
    #: The fencing token of the invocation that recorded it, and its position among the intents of
    #: the job.
    fencing_token: int
    sequence: int
    #: Edits as JSON, with each signature replaced by its SHA-256 (caller_edit.py).
    edits: str
    #: The caller held none of the job's earlier edits.
    is_first_edit: bool
    #: Digests of the other values that the same write replaces, by address, where no ETag protects
    #: them; only those that this invocation has not recorded yet. Empty for a value that is gone
    #: (unchanged_content.py).
    surrounding_digests: Mapping[str, str] = field(default_factory=dict)
    #: None: in a row from before this field existed.
    noted_at: datetime | None = None

    @property
    def key(self) -> str:
        """Return a row key that sorts a caller's intents in the order of their recording."""
        return f"{self.caller_id}-{self.fencing_token:010}-{self.sequence:06}"


def list_active_edits(
    record: CallerRecord, intents: Iterable[CallerEditIntent]
) -> tuple[caller_edit.CallerEdit, ...]:
    """Return the edits that a caller may contain, combined from its record and intents.

    `intents` are the caller's own, in the order in which they were recorded.
    """
    edits = caller_edit.parse_edits(record.edits)
    for intent in intents:
        if intent.edits == NO_EDITS:
            continue
        edits = caller_edit.merge_edits(
            () if intent.is_first_edit else edits, caller_edit.parse_edits(intent.edits)
        )
    return edits


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIndexEntry:
    """A place that a caller search found, stored under one of its keys."""

    #: A trigger URL id, a flow id, or `RETIRED_HOST`; or the key of a shared resource.
    held_id: str
    id: str
    caller: Caller
    #: When the search found it. Entries of older searches may no longer exist in the tenant.
    found_at: datetime


def build_caller_index_entries(
    caller: Caller, seen: datetime, *, is_shared: bool = False
) -> list[CallerIndexEntry]:
    """Return the index entries of a caller, one for each flow or trigger URL id that it holds.

    Its resource gets an entry if other callers may share it (`is_shared`), or if the caller holds
    several ids. A caller with a URL on a retired host also gets an entry for that host.
    """
    held = sorted(caller.trigger_url_ids | caller.child_flow_ids)
    if is_shared or len(held) > 1:
        held.append(hash_key(caller.resource_id))
    if caller.retired_url_ids:
        held.append(RETIRED_HOST)
    identity = hash_key(caller.kind, caller.address)
    return [
        CallerIndexEntry(held_id=holds, id=identity, caller=caller, found_at=seen) for holds in held
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSearchProgress:
    """How far an environment job has searched for callers of one kind."""

    environment_job_id: str
    kind: str
    #: As in `CallerSearchPosition`.
    continue_after: str = ""
    unreadable: tuple[str, ...] = ()
    is_done: bool = False
    #: What was not searched, one sentence each.
    findings: tuple[str, ...] = ()
    #: When this row was written.
    updated_at: datetime | None = None
    #: When the search started; None: a search for a plan, which does not need it.
    began: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedCallerSearch:
    """The last completed search for one kind of caller. Later assessments may use its results."""

    kind: str
    #: When the search started: its callers were found since then.
    started_at: datetime
    #: The environments that were searched.
    environment_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCallerUpdate:
    """A record which says that a started flow job will update the callers of a trigger URL."""

    #: Empty: the job's trigger URL was unknown when the job started.
    url_id: str
    environment_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCallerWrite:
    """A record which says that a job writes callers in a resource, or waits for a job that does."""

    #: The resource, or the id of the job that this job waits for.
    resource_id: str
    environment_id: str
    job_id: str
    #: The ids by which its callers in the resource refer to the original.
    held_ids: frozenset[str]
    #: The callers were written; the job may have to write there again.
    is_written: bool = False
