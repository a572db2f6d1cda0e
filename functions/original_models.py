"""API models that others include: deletions, run archives and observed callers of originals."""

from datetime import datetime

from functions.http_responses import ApiResponse
from shared.domain.callers.call_headers import CallerSource
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.run_archive import RunArchiveState


class DeletionResponse(ApiResponse):
    """The scheduled or completed deletion of one original."""

    environment_id: str
    job_id: str
    original_id: str
    flow_name: str
    display_name: str
    state: DeletionState
    delete_at: datetime
    approved_by: str
    approved_at: datetime
    next_check_at: datetime | None
    message: str
    fix: str
    reason_code: str
    #: Name in the archive of its definition when it was deleted.
    archived_definition: str
    deleted_at: datetime | None
    restorable_until: datetime | None
    #: Whether the platform's Microsoft-key list contains it after the deletion; null if not read
    #: since.
    is_on_microsoft_key_list: bool | None
    notes: tuple[str, ...]


class RunArchiveResponse(ApiResponse):
    """The archive of the run history of one original."""

    environment_id: str
    job_id: str
    flow_name: str
    display_name: str
    state: RunArchiveState
    runs: int
    oldest_run_at: datetime | None
    #: Share of the platform's 28 days of run history that is archived, from 0 to 1.
    fraction_complete: float
    parts: tuple[str, ...]


class SupportWindowResponse(ApiResponse):
    """The time until which Microsoft's support can restore an environment's run history from before
    its key was applied.
    """

    environment_id: str
    environment_name: str
    closes_at: datetime | None


class ObservedCallerResponse(ApiResponse):
    """The calls to an original by one caller, recognized by their headers."""

    #: Such as `unknown caller: flow Orders`.
    label: str
    #: Whether the app found the caller or a person declared it.
    is_known: bool
    source: CallerSource
    #: What the caller claims to be, such as `curl/8.5 from 203.0.113.0/24`; empty: nothing, or its
    #: source is known.
    claims: str
    #: For the source `not_read` the least number.
    call_count: int
    first_at: datetime
    last_at: datetime


class CallersOfOriginalResponse(ApiResponse):
    """The callers that called one original after its known callers were updated."""

    environment_id: str
    original_id: str
    display_name: str
    #: Calls up to this time are counted.
    read_until: datetime
    #: Unknown callers first.
    callers: tuple[ObservedCallerResponse, ...]
