"""Test that a caller search reads several places at the same time, and keeps their order."""

import asyncio
from contextlib import aclosing

import pytest

from shared.callers.search import UnreadableCallers, read_remaining_places_ahead
from shared.concurrency import MOST_CONCURRENT
from shared.domain.callers.search_position import CallerSearchPosition
from shared.errors import Conflict, NotFound, PlatformError

PLACES = [f"app-{number:02}" for number in range(40)]


class Reader:
    def __init__(self, *refuses: str) -> None:
        self.refuses = refuses
        self.asked: list[str] = []
        self.under_way = 0
        self.most = 0

    async def read(self, place: str) -> str:
        self.asked.append(place)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if place in self.refuses:
            raise PlatformError("no", code="No", status=403)
        return place.upper()


async def run_search(
    search: CallerSearchPosition, reader: Reader, *, stop_at: str = ""
) -> list[str]:
    """Search the places, and stop before `stop_at`, as a search without remaining requests does."""
    answers: list[str] = []
    readings = read_remaining_places_ahead(search, PLACES[::-1], str, reader.read)
    async with aclosing(readings):
        async for place, reading in readings:
            if place == stop_at:
                break
            try:
                answers.append(await reading)
            except PlatformError:
                answers.append(f"{place} is refused")
    return answers


async def test_every_place_is_read_once_in_order_with_limited_concurrency() -> None:
    reader = Reader("app-03")

    answers = await run_search(CallerSearchPosition(), reader)

    expected = [place.upper() for place in PLACES]
    expected[3] = "app-03 is refused"
    assert answers == expected
    assert reader.asked == PLACES
    assert 1 < reader.most <= MOST_CONCURRENT


async def test_stopped_search_continues_with_the_next_unread_place() -> None:
    """A search that stops discards what it has read ahead."""
    search, reader = CallerSearchPosition(), Reader()

    first = await run_search(search, reader, stop_at="app-05")
    assert search.continue_after == "app-04"
    assert reader.under_way == 0
    assert len(reader.asked) < 5 + MOST_CONCURRENT + 1

    assert first + await run_search(search, reader) == [place.upper() for place in PLACES]


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (NotFound("gone"), []),
        (Conflict("locked"), ["app app-03 (conflict)"]),
        (PlatformError("no", code="Forbidden", status=403), ["app app-03 (Forbidden)"]),
    ],
)
async def test_unreadable_place_does_not_affect_others(
    error: Exception, recorded: list[str]
) -> None:
    unreadable = UnreadableCallers(CallerSearchPosition(), "Grant the app access.")

    async def read(place: str) -> str:
        if place == "app-03":
            raise error
        return place.upper()

    readings = unreadable.read_readable_places(PLACES, str, read, lambda place: f"app {place}")
    async with aclosing(readings):
        found = [text async for _, text in readings]

    assert found == [place.upper() for place in PLACES if place != "app-03"]
    assert unreadable.search.unreadable == recorded
