"""What the API says about deletes of retired originals, and what may be ordered."""

from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from functions.deletion_response import DeletionResponse
from functions.http_requests import Text
from functions.http_responses import ApiResponse
from functions.remediation_models import FlowSelection, HistoryEntryResponse
from functions.run_archive_models import RunArchiveResponse, SupportWindowResponse


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time that there is in UTC") from None


class DeletionRequest(FlowSelection):
    """Approves the delete of retired originals."""

    #: A day (its beginning in UTC), or a time with its zone.
    on: date | Annotated[AwareDatetime, AfterValidator(_in_utc)]
    by: Text | None = None

    @property
    def moment(self) -> datetime:
        """Return when the delete may be made, in UTC."""
        if isinstance(self.on, datetime):
            return self.on
        return datetime.combine(self.on, time.min, UTC)


class CancelDeletionsRequest(FlowSelection):
    """Cancels deletes that stand."""

    by: Text | None = None


class DeletionDetailResponse(DeletionResponse):
    """The delete of one original, step by step."""

    history: tuple[HistoryEntryResponse, ...]


class DeletableOriginalResponse(ApiResponse):
    """A retired original that stands, whether its delete is ordered or not."""

    environment_id: str
    job_id: str
    original_id: str
    flow_name: str
    display_name: str
    #: The first moment for which its delete may be ordered.
    earliest: datetime
    #: What a delete ends, a sentence each.
    ends: tuple[str, ...]
    #: Where its definition before the copy is archived.
    archive: str


class DeletionListResponse(ApiResponse):
    """The deletes of a remediation, what may be ordered, and what is archived."""

    items: tuple[DeletionDetailResponse, ...]
    candidates: tuple[DeletableOriginalResponse, ...]
    run_archives: tuple[RunArchiveResponse, ...]
    ticket_windows: tuple[SupportWindowResponse, ...]


class CancelDeletionsResponse(ApiResponse):
    """How many deletes were cancelled."""

    cancelled: int
