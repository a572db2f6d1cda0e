"""API model: the deletion of one original."""

from datetime import datetime

from functions.http_responses import ApiResponse
from shared.domain.jobs.deletion_states import DeletionState


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
