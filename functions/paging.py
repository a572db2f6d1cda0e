"""Lists that are answered page by page."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StringConstraints

from functions.http_requests import RequestModel
from functions.http_responses import ApiResponse, ItemListResponse
from shared.errors import NotFound


class PagedQuery(RequestModel):
    """Which page of a list to show."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    #: `next` of the page before.
    after: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{0,80}$")] = ""

    def begin(self, ids: Sequence[str]) -> int:
        """Return where the page begins in the whole list; raises `NotFound`."""
        if not self.after:
            return 0
        if self.after not in ids:
            text = "There is no such page: give as `after` what `next` of the page before says."
            raise NotFound(text)
        return ids.index(self.after) + 1


class PageResponse[T: ApiResponse](ItemListResponse[T]):
    """One page of a list."""

    #: `after` of the next page; empty: this is the last.
    next: str
