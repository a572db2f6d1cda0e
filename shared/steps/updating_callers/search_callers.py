"""Search for callers once for several assessments.

Callers of one environment's flows may be in any other environment. So the results of a search are
stored. An assessment that names the time of that search uses them instead of reading the whole
tenant again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.callers.caller_records import (
    CallerIndexEntry,
    CallerSearchProgress,
    CompletedCallerSearch,
)
from shared.domain.environment import Environment
from shared.jobs.fenced_rows import FencedRows
from shared.services import Services
from shared.steps.optional_read import read_or_no_answer
from shared.steps.updating_callers.find_callers import search_caller_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSearchResult:
    """Which kinds of callers a search covered, and when."""

    #: When the search of each kind started; incomplete ones are omitted.
    began: Mapping[str, datetime]
    #: What was not searched, one sentence each.
    gaps: tuple[str, ...]
    #: Why trigger URLs are not known that were looked for with it, by workflow id.
    unknown_urls: Mapping[str, str] = field(default_factory=dict)

    @property
    def searched_at(self) -> datetime | None:
        """Return the time that another assessment names to reuse this search.

        Returns None if no kind was searched completely.
        """
        return min(self.began.values(), default=None)

    def covers(self, place: CallerIndexEntry) -> bool:
        """Return whether the search found this caller.

        A caller of an older search may no longer exist.
        """
        began = self.began.get(place.caller.kind)
        return began is not None and place.found_at >= began


async def search_callers(
    services: Services,
    everywhere: Sequence[Environment],
    *,
    since: datetime | None = None,
    rows: FencedRows[CallerSearchProgress] | None = None,
) -> CallerSearchResult:
    """Search every kind of caller in all environments, except kinds that an assessment reads
    separately.

    `since`: use the results of searches that started since that time. With `rows`, which store the
    progress, raises `TransientError` when it must wait; the next call continues. Without `rows`, a
    kind whose search fails is omitted.
    """
    kinds = [kind.kind for kind in services.callers.values() if not kind.is_assessed_separately]
    begun = {one.kind: one for one in await rows.read_all()} if rows else {}
    began: dict[str, datetime] = {}
    gaps: list[str] = []
    for kind in kinds:
        started = CallerSearchProgress(
            environment_job_id=rows.partition if rows else "", kind=kind, began=services.now
        )
        progress = begun.get(kind, started)
        if earlier := await _find_earlier_search(services, kind, everywhere, since):
            began[kind] = earlier
            continue
        if not progress.is_done:
            search = search_caller_kind(services, everywhere, progress, rows)
            found = await search if rows else await read_or_no_answer(search)
            if isinstance(found, NoAnswer):
                gaps.append(
                    f"The search for callers of kind {kind} is incomplete: {found.message}."
                )
                continue
            progress = found
        gaps += progress.findings
        if not progress.findings:
            began[kind] = progress.began or started.began or services.now
            await _record_completed_search(services, kind, began[kind], everywhere)
    return CallerSearchResult(began=began, gaps=tuple(gaps))


async def _find_earlier_search(
    services: Services, kind: str, everywhere: Sequence[Environment], since: datetime | None
) -> datetime | None:
    kept = await services.tables.completed_caller_searches.get("search", kind) if since else None
    ids = frozenset(environment.id for environment in everywhere)
    if since and kept and kept.item.started_at >= since and ids <= kept.item.environment_ids:
        return kept.item.started_at
    return None


async def _record_completed_search(
    services: Services, kind: str, began: datetime, everywhere: Sequence[Environment]
) -> None:
    ids = frozenset(environment.id for environment in everywhere)
    await services.tables.completed_caller_searches.upsert(
        CompletedCallerSearch(kind=kind, started_at=began, environment_ids=ids)
    )
