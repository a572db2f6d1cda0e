"""Search for callers once, for as many assessments as ask for the same moment.

Callers of one environment's flows may lie in any other. So the places of a search are kept, and an
assessment that names the search's time takes them instead of reading the whole tenant again.
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
    """What a search looked through."""

    #: When the search of each kind began; those that did not come to their end are left out.
    began: Mapping[str, datetime]
    #: What was not searched, in words.
    gaps: tuple[str, ...]

    @property
    def at(self) -> datetime | None:
        """The moment that another assessment can name to use the same search."""
        return min(self.began.values(), default=None)

    def covers(self, place: CallerIndexEntry) -> bool:
        """Say whether a place was found by it; others may be gone."""
        began = self.began.get(place.caller.kind)
        return began is not None and place.found_at >= began


async def search_callers(
    services: Services, everywhere: Sequence[Environment], *, since: datetime | None = None
) -> CallerSearchResult:
    """Search every kind in all environments but those that an assessment reads by itself.

    `since`: use what was searched from then on.
    """
    kinds = [kind for kind in services.callers.values() if not kind.is_assessed_separately]
    answers = await asyncio.gather(
        *(_searched(services, kind, everywhere, since) for kind in kinds)
    )
    began: dict[str, datetime] = {}
    gaps: list[str] = []
    for kind, answer in zip(kinds, answers, strict=True):
        if isinstance(answer, NoAnswer):
            gaps.append(f"Places of kind {kind.kind} were not all searched: {answer.message}.")
        else:
            began[kind.kind] = answer
    return CallerSearchResult(began=began, gaps=tuple(gaps))


async def _searched(
    services: Services,
    kind: CallerKind,
    everywhere: Sequence[Environment],
    since: datetime | None,
) -> datetime | NoAnswer:
    """Return when the search that counts began."""
    table = services.tables.completed_caller_searches
    ids = frozenset(environment.id for environment in everywhere)
    if since and (kept := await table.get("search", kind.kind)):
        earlier = kept.item
        if earlier.started_at >= since and ids <= earlier.environment_ids:
            return earlier.started_at
    began = services.now
    found = await read_or_none(_places(kind, everywhere, began))
    if isinstance(found, NoAnswer):
        return found
    await services.tables.caller_index.upsert(*found)
    await table.upsert(CompletedCallerSearch(kind=kind.kind, started_at=began, environment_ids=ids))
    return began


async def _places(
    kind: CallerKind, everywhere: Sequence[Environment], seen: datetime
) -> list[CallerIndexEntry]:
    return [
        place async for caller in kind.find(everywhere) for place in index_entries_for(caller, seen)
    ]
