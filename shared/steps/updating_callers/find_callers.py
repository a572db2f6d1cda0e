"""Search every kind of caller once and note what each place holds.

Where a budget of calls runs out the search goes on later where it stopped: there may be more
places than one budget reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.domain.callers.caller_records import (
    CallerIndexEntry,
    CallerSearchProgress,
    index_entries_for,
)
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.flow import Workflow
from shared.errors import PermanentError, TransientError
from shared.jobs.fenced_rows import FencedRows
from shared.ports import Condition, FoundInDefinitions, WritesWholeResource
from shared.rows import sortable_time
from shared.services import Services

#: Places found since the progress was last kept: what a dead process searched for nothing.
_KEEP_AFTER = 500
#: How old a search for callers may be.
SEARCH_LASTS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSearchRequest:
    """Where to look for callers, and for whom."""

    #: The one whose flows are called.
    environment: Environment
    everywhere: Sequence[Environment]
    #: The environment's flows were read by a discovery, which has noted the callers in them.
    is_home_read: bool = False


async def find_callers(
    services: Services, request: CallerSearchRequest, rows: FencedRows[CallerSearchProgress]
) -> list[str]:
    """Note every place that holds a trigger URL or a child flow's id, by what it holds.

    Goes on with the `rows` of a search that did not come to its end.
    Returns what could not be searched, in words: a caller there would go unnoticed until the
    original is seen not to fall quiet. Raises `TransientError`: called again, it goes on.
    """
    findings: list[str] = []
    begun = {progress.kind: progress for progress in await rows.all()}
    for kind in services.callers.values():
        progress = begun.get(kind.kind) or CallerSearchProgress(
            environment_job_id=rows.partition, kind=kind.kind
        )
        if not progress.is_done:
            progress = await _search(services, request, progress, rows)
        findings += progress.findings
    await rows.clear()
    return findings


async def note_callers_in(
    services: Services, environment: Environment, flows: Sequence[Workflow]
) -> None:
    """Note the places in the definitions of flows that were read for something else."""
    kinds = [kind for kind in services.callers.values() if isinstance(kind, FoundInDefinitions)]
    places = [
        place
        for kind in kinds
        for flow in flows
        for caller in kind.callers_in(environment, flow)
        for place in index_entries_for(
            caller, services.now, is_shared=isinstance(kind, WritesWholeResource)
        )
    ]
    await services.tables.caller_index.upsert(*places)


async def forget_stale_searches(services: Services) -> None:
    """Remove how far searches were that nobody goes on with: what they found is too old by now."""
    where = [Condition("updated_at", "lt", sortable_time(services.now - SEARCH_LASTS))]
    await services.tables.caller_searches.clear(where=where)


async def _search(
    services: Services,
    request: CallerSearchRequest,
    progress: CallerSearchProgress,
    rows: FencedRows[CallerSearchProgress],
) -> CallerSearchProgress:
    kind = services.callers[progress.kind]
    home = request.environment
    where = [home] if kind.is_environment_only else request.everywhere
    if request.is_home_read and isinstance(kind, FoundInDefinitions):
        where = [one for one in where if one.id != home.id]
    search = CallerSearchPosition(
        continue_after=progress.continue_after, unreadable=list(progress.unreadable)
    )
    places: list[CallerIndexEntry] = []
    is_shared = isinstance(kind, WritesWholeResource)

    async def keep(*findings: str, is_done: bool = False) -> CallerSearchProgress:
        await services.tables.caller_index.upsert(*places)
        places.clear()
        now = replace(
            progress,
            continue_after=search.continue_after,
            unreadable=tuple(search.unreadable),
            is_done=is_done,
            findings=findings,
            updated_at=services.now,
        )
        await rows.upsert(now)
        return now

    try:
        async for caller in kind.find(where, search):
            places += index_entries_for(caller, services.now, is_shared=is_shared)
            if len(places) >= _KEEP_AFTER:
                await keep()
    except PermanentError as err:
        text = f"Callers of kind {kind.kind} were not all searched: {err}"
        return await keep(text, is_done=True)
    except TransientError:
        await keep()
        raise
    return await keep(is_done=True)
