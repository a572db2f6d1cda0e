"""Search for callers once for all assessments that name the same time.

Callers of one environment's flows may be in any other. So the results of a search are stored, and
an assessment that names the search's time uses them instead of reading the whole tenant again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.callers.caller_records import (
    CallerIndexEntry,
    CompletedCallerSearch,
    index_entries_for,
)
from shared.domain.environment import Environment
from shared.ports import CallerKind
from shared.services import Services
from shared.steps.optional_read import read_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSearchResult:
    """The kinds that a search covered."""

    #: When the search of each kind started; incomplete ones are omitted.
    began: Mapping[str, datetime]
    #: What was not searched, one sentence each.
    gaps: tuple[str, ...]

    @property
    def at(self) -> datetime | None:
        """Return the time that another assessment can name to use the same search."""
        return min(self.began.values(), default=None)

    def covers(self, place: CallerIndexEntry) -> bool:
        """Return whether the search found this caller; others may no longer exist."""
        began = self.began.get(place.caller.kind)
        return began is not None and place.found_at >= began


async def search_callers(
    services: Services, everywhere: Sequence[Environment], *, since: datetime | None = None
) -> CallerSearchResult:
    """Search every kind in all environments, except kinds that an assessment reads separately.

    `since`: use searches that started since then.
    """
    kinds = [kind for kind in services.callers.values() if not kind.is_assessed_separately]
    answers = await asyncio.gather(
        *(_search_or_reuse(services, kind, everywhere, since) for kind in kinds)
    )
    began: dict[str, datetime] = {}
    gaps: list[str] = []
    for kind, answer in zip(kinds, answers, strict=True):
        if isinstance(answer, NoAnswer):
            gaps.append(
                f"The search for callers of kind {kind.kind} is incomplete: {answer.message}."
            )
        else:
            began[kind.kind] = answer
    return CallerSearchResult(began=began, gaps=tuple(gaps))


async def _search_or_reuse(
    services: Services,
    kind: CallerKind,
    everywhere: Sequence[Environment],
    since: datetime | None,
) -> datetime | NoAnswer:
    """Return when the search started whose results count."""
    table = services.tables.completed_caller_searches
    ids = frozenset(environment.id for environment in everywhere)
    if since and (kept := await table.get("search", kind.kind)):
        earlier = kept.item
        if earlier.started_at >= since and ids <= earlier.environment_ids:
            return earlier.started_at
    began = services.now
    found = await read_or_none(_find_places(kind, everywhere, began))
    if isinstance(found, NoAnswer):
        return found
    await services.tables.caller_index.upsert(*found)
    await table.upsert(CompletedCallerSearch(kind=kind.kind, started_at=began, environment_ids=ids))
    return began


async def _find_places(
    kind: CallerKind, everywhere: Sequence[Environment], seen: datetime
) -> list[CallerIndexEntry]:
    return [
        place async for caller in kind.find(everywhere) for place in index_entries_for(caller, seen)
    ]
