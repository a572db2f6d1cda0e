"""API models: deletions of retired originals."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime

from functions.audit_query import IdPart
from functions.http_requests import RequestModel, Search, Text
from functions.http_responses import ApiResponse
from functions.original_models import DeletionResponse, RunArchiveResponse, SupportWindowResponse
from functions.paging import PagedQuery, PageResponse
from functions.remediation_models import (
    FlowSelection,
    HistoryEntryResponse,
    UnreadableRowResponse,
)
from shared.domain.ids import normalize_environment_id
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.deletion_text import NEXT_STEPS
from shared.errors import UnreadableRow
from shared.use_cases.list_deletions import DeletionFilter


def _convert_to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("Use a time that exists in UTC.") from None


class DeletionRequest(FlowSelection):
    """Schedules the deletion of retired originals, and so approves it."""

    #: A date (00:00 UTC on that day), or a time with a time zone.
    delete_at: date | Annotated[AwareDatetime, AfterValidator(_convert_to_utc)]
    approved_by: Text | None = None

    @property
    def requested_delete_at(self) -> datetime:
        """Return the earliest time at which the originals may be deleted, in UTC."""
        if isinstance(self.delete_at, datetime):
            return self.delete_at
        return datetime.combine(self.delete_at, time.min, UTC)


class CancelDeletionsRequest(FlowSelection):
    """Cancels scheduled deletions."""

    cancelled_by: Text | None = None


class DeletionDetailResponse(DeletionResponse):
    """The deletion of one original, with its history."""

    history: tuple[HistoryEntryResponse, ...]


class DeletableOriginalResponse(ApiResponse):
    """A retired original that is not deleted yet, and the consequences of its deletion."""

    environment_id: str
    job_id: str
    original_id: str
    flow_name: str
    display_name: str
    #: Earliest time for which its deletion can be scheduled.
    earliest_delete_at: datetime
    #: The consequences of the deletion, one sentence each.
    consequences: tuple[str, ...]
    #: Name in the archive of its definition before the copy was made.
    archive_name: str


class DeletionListResponse(ApiResponse):
    """The deletions of a remediation, and what is known about its originals."""

    items: tuple[DeletionDetailResponse, ...]
    deletable_originals: tuple[DeletableOriginalResponse, ...]
    run_archives: tuple[RunArchiveResponse, ...]
    support_windows: tuple[SupportWindowResponse, ...]


class CancelDeletionsResponse(ApiResponse):
    """The number of cancelled deletions."""

    cancelled_count: int


class TenantDeletionResponse(DeletionResponse):
    """A deletion in the list for all remediations of the tenant."""

    remediation_id: str
    #: Empty if it is not known.
    environment_name: str
    #: What remains to do.
    next_step: str

    @classmethod
    def build(cls, deletion: Deletion, names: Mapping[str, str]) -> Self:
        """Return the response for a deletion. `names` contains the environments' names by id."""
        plain = DeletionResponse.model_validate(deletion).model_dump()
        return cls(
            **plain,
            remediation_id=deletion.remediation_id,
            environment_name=names.get(deletion.environment_id, ""),
            next_step=deletion.fix or NEXT_STEPS[deletion.state],
        )


class TenantDeletionListResponse(PageResponse[TenantDeletionResponse]):
    """A page of the tenant's deletions, and every row of a deletion that cannot be read."""

    unreadable_rows: tuple[UnreadableRowResponse, ...]

    @classmethod
    def build(
        cls,
        deletions: Iterable[Deletion],
        names: Mapping[str, str],
        unreadable: Iterable[UnreadableRow],
        *,
        next_page: str = "",
    ) -> Self:
        """Return the response for a page. `names` contains the environments' names by id."""
        return cls(
            items=tuple(TenantDeletionResponse.build(one, names) for one in deletions),
            next=next_page,
            unreadable_rows=tuple(map(UnreadableRowResponse.model_validate, unreadable)),
        )


class DeletionFilterQuery(RequestModel):
    """Which deletions to return. An empty parameter selects all."""

    state: Literal[""] | DeletionState = ""
    environment: IdPart = ""
    #: An id or its beginning.
    remediation: IdPart = ""
    #: Part of the original's name or id.
    search: Search = ""

    @property
    def filter(self) -> DeletionFilter:
        return DeletionFilter(
            state=self.state or None,
            environment_id=normalize_environment_id(self.environment),
            remediation_id=self.remediation,
            search=self.search.strip(),
        )


class DeletionListQuery(DeletionFilterQuery, PagedQuery):
    """Which deletions to return, and which page of them."""


class DeletionExportQuery(DeletionFilterQuery):
    """Which deletions to export, and in which format."""

    format: Literal["csv", "json"] = "csv"
