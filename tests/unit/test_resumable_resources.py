from collections.abc import Mapping
from typing import Any, cast

import pytest

from shared.errors import ServiceUnavailable
from shared.ports import PagedResourceReader, ResultPage
from shared.resumable_resources import ResumableResources, resume_reading


class Stored:
    """A store of pages in memory, each by the text of its request."""

    def __init__(self) -> None:
        self.pages: dict[str, Mapping[str, object]] = {}

    def find_answer(self, request: str) -> Mapping[str, object] | None:
        return self.pages.get(request)

    async def store_answer(self, request: str, answer: Mapping[str, object]) -> None:
        self.pages[request] = answer

    async def delete_answers(self, start: str) -> None:
        self.pages = {one: page for one, page in self.pages.items() if not one.startswith(start)}


class RepeatedPages:
    """A list of resources whose third page links to the second."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    async def list_page(self, _: str, __: str, cursor: str = "") -> ResultPage[Any]:
        self.requests.append(cursor)
        return ResultPage(items=({"id": cursor},), cursor={"": "a", "a": "b", "b": "a"}[cursor])


async def test_stored_list_with_repeated_pages_is_deleted() -> None:
    """If its pages stayed in the store, no later read would end."""
    repeated, stored = RepeatedPages(), Stored()
    stored.pages["another list "] = {"items": []}
    resources = ResumableResources(cast("PagedResourceReader", repeated))

    for _ in range(2):
        with resume_reading(stored), pytest.raises(ServiceUnavailable, match="repeats its pages"):
            await resources.list("Microsoft.Web/sites", "1")

    assert repeated.requests == ["", "a", "b"] * 2
    assert stored.pages.keys() == {"another list "}
