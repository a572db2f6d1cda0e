"""Small rows beside the jobs: callers and what was changed there, places, leases, switches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.callers import caller_edit
from shared.domain.callers.caller import Caller
from shared.domain.ids import hash_key
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST

#: Nothing was changed at a caller.
NO_EDITS = "[]"


class CallerState(StrEnum):
    """How far a caller's change is."""

    FOUND = "found"
    WRITING = "writing"  #: the change is noted and may or may not be there
    UPDATED = "updated"
    UNNEEDED = "unneeded"  #: nothing of the original stood there any more
    MANUAL = "manual"  #: only a person can change it
    REVERTED = "reverted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRecord:
    """A caller of one original, what was changed there, and how to put it back."""

    job_id: str
    id: str
    caller: Caller
    state: CallerState = CallerState.FOUND
    #: As in `CallerEditIntent`; only in rows from before there were intents.
    edits: str = NO_EDITS

    @property
    def is_straggler(self) -> bool:
        """Say whether it does not name the copy: known, and not moved."""
        return self.state in {CallerState.FOUND, CallerState.WRITING, CallerState.MANUAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEditIntent:
    """A change of a caller, noted before it was made."""

    job_id: str
    caller_id: str
    #: Which delivery meant to make it, and its place among the intents of the job.
    lease_number: int
    sequence: int
    #: Edits as JSON, with each signature replaced by its SHA-256 (caller_edit.py).
    edits: str
    #: No earlier change stood there any more.
    is_first: bool
    #: What stood around it where no ETag guards it, as far as this delivery had not noted it yet:
    #: digests by address, empty for what is gone (unchanged_content.py).
    around: Mapping[str, str] = field(default_factory=dict)
    #: None: in a row from before this was kept.
    noted: datetime | None = None

    @property
    def key(self) -> str:
        """Return a key that sorts as the intents were noted."""
        return f"{self.caller_id}-{self.lease_number:010}-{self.sequence:06}"


def active_edits(
    record: CallerRecord, intents: Iterable[CallerEditIntent]
) -> tuple[caller_edit.CallerEdit, ...]:
    """Return all that was changed at a caller, or may have been, and still stands.

    `intents` are those of the caller, in order.
    """
    edits = caller_edit.edits_from_json(record.edits)
    for intent in intents:
        if intent.edits == NO_EDITS:
            continue
        edits = caller_edit.merge_edits(
            () if intent.is_first else edits, caller_edit.edits_from_json(intent.edits)
        )
    return edits


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIndexEntry:
    """A caller found by the last search, by what it holds, and by its resource."""

    #: A trigger URL's id, a flow's id, or `RETIRED_HOST`; or the key of a shared resource.
    holds: str
    id: str
    caller: Caller
    #: Which search found it: older ones may be gone.
    seen: datetime


def index_entries_for(
    caller: Caller, seen: datetime, *, is_shared: bool = False
) -> list[CallerIndexEntry]:
    """Return a caller once for each thing that it holds, and for its resource if that is shared.

    `is_shared`: there may be other places in it; several flows may be called from one place too.
    """
    held = sorted(caller.trigger_url_ids | caller.child_flow_ids)
    if is_shared or len(held) > 1:
        held.append(hash_key(caller.resource))
    if caller.retired_url_ids:
        held.append(RETIRED_HOST)
    identity = hash_key(caller.kind, caller.address)
    return [CallerIndexEntry(holds=holds, id=identity, caller=caller, seen=seen) for holds in held]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSearchProgress:
    """How far an environment job's search of one kind of caller is."""

    environment_job_id: str
    kind: str
    #: As in `CallerSearchPosition`.
    after: str = ""
    refused: tuple[str, ...] = ()
    is_done: bool = False
    #: What was not searched, in words.
    findings: tuple[str, ...] = ()
    #: When this was written.
    noted: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedCallerSearch:
    """A search of one kind of caller that came to its end: later assessments may use its places."""

    kind: str
    #: Its places were seen from then on.
    began: datetime
    #: Environments that it covers.
    environment_ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """A flow job that was dispatched and is to move the callers of one trigger URL."""

    #: Empty: whose URLs callers hold was not known when it was dispatched.
    url_id: str
    environment_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCallerWrite:
    """A job that writes callers in one resource, or waits for another job that is to do so."""

    #: Or the id of the job that it waits for.
    resource_id: str
    environment_id: str
    job_id: str
    #: By which ids its callers there hold its original.
    holds: frozenset[str]
    #: They were written. It may be to write there again.
    is_done: bool = False
