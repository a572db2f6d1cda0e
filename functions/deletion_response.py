"""API model: the deletion of one original."""

from datetime import datetime

from functions.http_responses import ApiResponse
from shared.domain.jobs.deletion_states import DeletionState


class DeletionResponse(ApiResponse):
    """The deletion of one original."""

    environment_id: str
    job_id: str
    original_id: str
    flow_name: str
    display_name: str
    state: DeletionState
    on: datetime
    approved_by: str
    approved_at: datetime
    due: datetime | None
    reason: str
    instruction: str
    code: str
    #: Name in the archive of its definition when it was deleted.
    definition: str
    deleted_at: datetime | None
    restorable_until: datetime | None
    #: Whether the platform's Microsoft-key list contains it after the deletion; null if not read
    #: since.
    is_on_microsoft_key_list: bool | None
    notes: tuple[str, ...]
