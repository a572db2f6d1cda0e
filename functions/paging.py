"""Models of requests for paged lists, and of their responses."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from functions.http_requests import RequestModel
from functions.http_responses import ApiResponse, ItemListResponse
from shared.errors import NotFound
from shared.validation_text import TextPattern


class PagedQuery(RequestModel):
    """Which page of a list to return."""

    limit: Annotated[int, Field(ge=1, le=500)] = 50
    #: The value of `next` in the previous page.
    after: Annotated[
        str, TextPattern(r"^[0-9A-Za-z-]{0,80}$", "Use `next` of the page before.")
    ] = ""

    def find_start_index(self, ids: Sequence[str]) -> int:
        """Return the index at which the requested page starts.

        Raises `NotFound` if `after` is not in `ids`.
        """
        if not self.after:
            return 0
        if self.after not in ids:
            text = "No such page. Set `after` to the value of `next` from the previous page."
            raise NotFound(text)
        return ids.index(self.after) + 1


class PageResponse[T: ApiResponse](ItemListResponse[T]):
    """One page of a list, with the value of `after` for the next page."""

    #: Value of `after` for the next page; empty on the last page.
    next: str
