"""Read from a request which deletions of the tenant to return."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from functions.audit_query import IdPart
from functions.http_requests import RequestModel
from functions.paging import PagedQuery
from shared.domain.ids import normalize_environment_id
from shared.domain.jobs.deletion_states import DeletionState
from shared.use_cases.list_deletions import DeletionFilter


class DeletionFilterQuery(RequestModel):
    """Which deletions to return. An empty parameter selects all."""

    state: Literal[""] | DeletionState = ""
    environment: IdPart = ""
    #: An id or its beginning.
    remediation: IdPart = ""
    #: Part of the original's name or id.
    search: Annotated[str, StringConstraints(max_length=200)] = ""

    @property
    def filter(self) -> DeletionFilter:
        """Return the filter for deletions."""
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
