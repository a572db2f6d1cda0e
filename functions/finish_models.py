"""What the API says about the end of a remediation: run history, support's window, deletes."""

from datetime import datetime

from functions.http_answers import Answer
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.run_archive import ArchiveState


class RunArchiveAnswer(Answer):
    """How far one original's archive is."""

    environment_id: str
    job_id: str
    flow_name: str
    display_name: str
    state: ArchiveState
    runs: int
    oldest: datetime | None
    #: How much of the platform's 28 days is covered, from 0 to 1.
    share: float
    parts: tuple[str, ...]


class TicketWindowAnswer(Answer):
    """Until when Microsoft's support can get the history from before the key."""

    environment_id: str
    environment_name: str
    closes: datetime | None


class DeletionAnswer(Answer):
    """The delete of one original."""

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
    #: Where its definition stands, as it was when it was deleted.
    definition: str
    deleted_at: datetime | None
    restorable_until: datetime | None
    #: Whether the platform still lists it on Microsoft's key; null: not asked since.
    is_listed: bool | None
    notes: tuple[str, ...]
