"""What the API says about the end of a remediation: run history, support's window, deletes."""

from datetime import datetime

from functions.http_responses import ApiResponse
from shared.domain.jobs.run_archive import RunArchiveState


class RunArchiveResponse(ApiResponse):
    """How far one original's archive is."""

    environment_id: str
    job_id: str
    flow_name: str
    display_name: str
    state: RunArchiveState
    runs: int
    oldest: datetime | None
    #: How much of the platform's 28 days is covered, from 0 to 1.
    share: float
    parts: tuple[str, ...]


class SupportWindowResponse(ApiResponse):
    """Until when Microsoft's support can get the history from before the key."""

    environment_id: str
    environment_name: str
    closes: datetime | None
