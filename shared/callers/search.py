"""Search places for callers, and record the places that could not be read."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any

from shared.concurrency import MOST_CONCURRENT
from shared.domain.callers.caller import FILLED_IN, Caller
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.definitions.json_values import text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.domain.platform_errors import SCOPE_LOCKED, parse_locked_scope
from shared.domain.trigger_urls.replacement import replace_trigger_urls
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import (
    Conflict,
    JobBlocked,
    NotFound,
    PlatformError,
    ServiceOutage,
    SubscriptionsUnread,
)
from shared.ports import ResourceReader
from shared.read_only_locks import ReadOnlyLocks, read_read_only_locks
from shared.reason import Reason

#: How long a search waits for a host that serves one resource.
_PATIENCE = timedelta(hours=1)
_ANY_URL = (
    f"https://a.example/workflows/{'0' * 32}/triggers/manual/paths/invoke"
    "?api-version=1&sp=a&sv=1.0&sig=a"
)
#: Why a place below a lock was not read.
_LOCKED = "read-only lock at"


async def read_remaining_places_ahead[T, R](
    search: CallerSearchPosition,
    places: Sequence[T],
    key: Callable[[T], str],
    read: Callable[[T], Coroutine[Any, Any, R]],
) -> AsyncGenerator[tuple[T, Awaitable[R]]]:
    """Yield each place that is not searched yet, with an awaitable of its read.

    The reads of the next places are in progress meanwhile. The awaitable raises the errors of
    `read`. Close the generator to cancel the reads in progress.
    """
    following = iter(
        sorted((place for place in places if key(place) > search.continue_after), key=key)
    )
    readings: deque[asyncio.Task[R]] = deque()
    try:
        for place in search.list_remaining_places(places, key):
            missing = MOST_CONCURRENT - len(readings)
            readings += [asyncio.create_task(read(one)) for one in islice(following, missing)]
            yield place, readings.popleft()
    finally:
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)


async def collect_items[T](items: AsyncIterator[T]) -> list[T]:
    """Return all items.

    A raised `SubscriptionsUnread` has the items of the other subscriptions in `found`.
    """
    found: list[T] = []
    try:
        async for item in items:
            found.append(item)  # noqa: PERF401 -- kept if a later one fails
    except SubscriptionsUnread as err:
        err.found = found
        raise
    return found


def get_id(resource: Mapping[str, object]) -> str:
    """Return the id of an Azure resource, or "" if it has none."""
    return text_at(resource, "id") or ""


def get_environment_id(environment: Environment) -> str:
    """Return the id of an environment, by which a search orders environments."""
    return environment.id


@contextmanager
def convert_long_outages() -> Iterator[None]:
    """Convert an outage of at least an hour to `PlatformError`.

    A search then continues without the resource, for example a vault in a network that the app
    cannot reach.
    """
    try:
        yield
    except ServiceOutage as err:
        if err.duration < _PATIENCE:
            raise
        raise PlatformError(str(err), code="no answer", status=503) from err


def build_manual_caller_error(caller: Caller, reason: str) -> JobBlocked:
    """Return the error for a caller that only a person can change. `reason` becomes the fix."""
    return JobBlocked(
        f"The app cannot change the {caller.label}.",
        fix=f"{reason} Then retry.",
        code=Reason.MANUAL_CALLER,
    )


def find_callers_in_text(text: str, place: Caller) -> Iterator[Caller]:
    """Yield a caller for the trigger URLs that the app can replace, and one for the others.

    `place` is the caller without ids. Its `manual_reason` applies to both.
    """
    matches = find_trigger_urls(text)
    filled_in = {match.url.trigger_url_id for match in matches if not match.is_replaceable}
    retired = {match.url.trigger_url_id for match in matches if match.url.is_retired}
    is_only_url = len(matches) == 1 and matches[0].url_text == text
    ours = {match.url.trigger_url_id for match in matches} - filled_in
    for ids, reason in ((ours, place.manual_reason), (filled_in, place.manual_reason or FILLED_IN)):
        if ids:
            yield replace(
                place,
                trigger_url_ids=frozenset(ids),
                retired_url_ids=frozenset(ids & retired),
                manual_reason=reason,
                is_only_url=is_only_url,
            )


def compute_max_url_length(text: str, longest_text: int) -> int:
    """Return the length of the longest trigger URL that fits in place of each one in a text.

    `longest_text` is the maximum length of the text.
    """
    ids = [one.url.trigger_url_id for one in find_trigger_urls(text)]
    replaced = replace_trigger_urls(text, dict.fromkeys(ids, _ANY_URL))
    others = len(replaced) - len(ids) * len(_ANY_URL)
    return (longest_text - others) // max(len(ids), 1)


@dataclass(frozen=True, slots=True)
class UnreadableCallers:
    """The places that a search could not read."""

    search: CallerSearchPosition
    #: How to give the app access, for the fix.
    remedy: str

    def record_place(self, place: str, error: PlatformError | Conflict) -> None:
        """Record a place that could not be read, with an error code or the lock as the reason."""
        why = error.code if isinstance(error, PlatformError) else "conflict"
        if why == SCOPE_LOCKED:
            scope = parse_locked_scope(str(error))
            why = f"{_LOCKED} {scope}"
        self.record_unsearched(f"{place} ({why})")

    async def read_readable_places[T, R](
        self,
        places: Sequence[T],
        key: Callable[[T], str],
        read: Callable[[T], Coroutine[Any, Any, R]],
        name: Callable[[T], str],
    ) -> AsyncGenerator[tuple[T, R]]:
        """Yield each remaining place that can be read, with what was read.

        Records the places that cannot be read, under the text that `name` returns. Omits deleted
        places. Close the generator to cancel the reads in progress.
        """
        async with aclosing(
            read_remaining_places_ahead(self.search, places, key, read)
        ) as readings:
            async for place, reading in readings:
                try:
                    found = await reading
                except NotFound:
                    continue  # deleted after it was listed
                except (Conflict, PlatformError) as err:
                    self.record_place(name(place), err)
                    continue
                yield place, found

    async def list_readable[T](self, listing: Awaitable[Sequence[T]], what: str) -> Sequence[T]:
        """Return the items of a list, as far as they can be read.

        Records what cannot be read: some subscriptions, or the whole list. `what` names the list.
        """
        try:
            return await listing
        except SubscriptionsUnread as err:
            self.record_place(f"{what} of subscription {err.subscriptions}", err)
            return err.found
        except PlatformError as err:
            self.record_place(what, err)
            return ()

    async def list_resources_with_locks(
        self, resources: ResourceReader, resource_type: str, api_version: str, what: str
    ) -> tuple[Sequence[Mapping[str, object]], ReadOnlyLocks]:
        """Return the resources of a type, as far as they can be read, and the read-only locks.

        Reads no locks if there is no resource.
        """
        found = await self.list_readable(resources.list(resource_type, api_version), what)
        return found, await self.read_locks(resources, what) if found else ReadOnlyLocks({})

    async def read_locks(self, resources: ResourceReader, what: str) -> ReadOnlyLocks:
        """Return the read-only locks, or none if they cannot be read.

        Records then that `what` cannot be read.
        """
        try:
            return await read_read_only_locks(resources)
        except PlatformError as err:
            self.record_place(what, err)
            return ReadOnlyLocks({})

    def record_unsearched(self, text: str) -> None:
        """Record a text about what was not searched, unless it is recorded already."""
        if text not in self.search.unreadable:
            self.search.unreadable.append(text)

    def raise_if_unreadable(self) -> None:
        """Raise `JobBlocked` if any place could not be read, because the search is incomplete."""
        if self.search.unreadable:
            is_locked = all(_LOCKED in one for one in self.search.unreadable)
            remedy = "Remove each read-only lock." if is_locked else self.remedy
            raise JobBlocked(
                f"Not searched: {', '.join(self.search.unreadable)}",
                fix=f"{remedy} Then assess or plan again.",
                code=Reason.CALLER_SEARCH_INCOMPLETE,
            )


class SearchedCallers(ABC):
    """The base class of caller kinds that report what a search could not read."""

    kind: str
    is_environment_only = False
    is_assessed_separately = False
    required_permissions: RequiredPermissions

    async def find(
        self, environments: Sequence[Environment], search: CallerSearchPosition | None = None
    ) -> AsyncIterator[Caller]:
        unreadable = UnreadableCallers(
            search or CallerSearchPosition(), self.required_permissions.fix
        )
        async with aclosing(self.find_callers(environments, unreadable)) as found:
            async for caller in found:
                yield caller
        unreadable.raise_if_unreadable()

    @abstractmethod
    def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        """Yield every caller of this kind.

        Records in `unreadable` the places that cannot be read. `environments` are the environments
        to search, if the kind is in environments.
        """

    def build_place(
        self, address: str, label: str, manual_reason: str = "", *, resource: str = ""
    ) -> Caller:
        """Return the caller at an address, without ids.

        `resource` is what a write replaces, if that is more than the address.
        """
        return Caller(
            kind=self.kind,
            address=address,
            label=label,
            resource_id=f"{self.kind}/{resource or address}".lower(),
            manual_reason=manual_reason,
        )
