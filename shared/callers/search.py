"""What all searches for callers share: what a place holds, and what could not be looked into."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from shared.concurrency import SIDE_BY_SIDE
from shared.domain.callers.caller import FILLED_IN, Caller
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import JobBlocked, PlatformError
from shared.reason import Reason


async def left_with_readings[T, R](
    search: CallerSearchPosition,
    places: Sequence[T],
    key: Callable[[T], str],
    read: Callable[[T], Coroutine[Any, Any, R]],
) -> AsyncGenerator[tuple[T, Awaitable[R]]]:
    """Yield what `search.left` does, each place with its reading; the next ones are under way.

    A reading raises what `read` does when it is awaited. Close the generator: those that nobody
    waits for are given up.
    """
    following = iter(
        sorted((place for place in places if key(place) > search.continue_after), key=key)
    )
    readings: deque[asyncio.Task[R]] = deque()
    try:
        for place in search.remaining(places, key):
            missing = SIDE_BY_SIDE - len(readings)
            readings += [asyncio.create_task(read(one)) for one in islice(following, missing)]
            yield place, readings.popleft()
    finally:
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)


def environment_id(environment: Environment) -> str:
    """Return the key that a search goes through environments by."""
    return environment.id


def callers_in(text: str, place: Caller) -> Iterator[Caller]:
    """Yield a place once for the trigger URLs that can be replaced, once for the others.

    `place` is the caller without ids; a reason it brings along (`manual`) holds for both.
    """
    matches = find_trigger_urls(text)
    filled_in = {match.url.workflow_id for match in matches if not match.is_replaceable}
    retired = {match.url.workflow_id for match in matches if match.url.is_retired}
    ours = {match.url.workflow_id for match in matches} - filled_in
    for ids, reason in ((ours, place.manual), (filled_in, place.manual or FILLED_IN)):
        if ids:
            yield replace(
                place,
                trigger_url_ids=frozenset(ids),
                retired_url_ids=frozenset(ids & retired),
                manual=reason,
            )


@dataclass(frozen=True, slots=True)
class UnreadableCallers:
    """Places that could not be read. The search goes on, and tells at its end."""

    search: CallerSearchPosition
    #: What would have let the app in, for the instruction.
    remedy: str

    def add(self, place: str, refusal: PlatformError) -> None:
        """Note a place and the platform's reason."""
        self.note(f"{place} ({refusal.code})")

    def note(self, text: str) -> None:
        """Note what was not searched, in words; a place that is searched again tells it once."""
        if text not in self.search.unreadable:
            self.search.unreadable.append(text)

    def tell(self) -> None:
        """Raise `JobBlocked` if anything was refused: the search is not complete."""
        if self.search.unreadable:
            raise JobBlocked(
                f"Not searched: {', '.join(self.search.unreadable)}",
                instruction=f"{self.remedy} Then search again.",
                code=Reason.CALLER_SEARCH_INCOMPLETE,
            )
