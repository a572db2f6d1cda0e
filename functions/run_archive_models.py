"""API models: run archives and support windows."""

from datetime import datetime

from functions.http_responses import ApiResponse
from shared.domain.jobs.run_archive import RunArchiveState


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
    """The time until which Microsoft's support can restore run history from before the key."""

    environment_id: str
    environment_name: str
    closes_at: datetime | None
