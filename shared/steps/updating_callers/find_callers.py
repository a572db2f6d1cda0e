"""Search for all callers once, and index them by what they hold.

If a request budget is used up, the search continues later where it stopped, because there may be
more callers than one budget can read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.domain.callers.caller_records import (
    CallerIndexEntry,
    CallerSearchProgress,
    build_caller_index_entries,
)
from shared.domain.callers.search_position import CallerSearchPosition
from shared.domain.environment import Environment
from shared.domain.flow import Workflow
from shared.errors import JobBlocked, PermanentError, TransientError
from shared.jobs.fenced_rows import FencedRows
from shared.ports import Condition, FoundInDefinitions, InJsonService, WritesWholeResource
from shared.services import Services
from shared.state.rows import format_sortable_time

#: Index entries that are stored together: a crash loses no more.
_BATCH_SIZE = 500
#: How old a caller search may be.
SEARCH_LASTS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSearchRequest:
    """Which environments to search for callers, and whose flows they may call."""

    #: The environment whose flows are called.
    environment: Environment
    everywhere: Sequence[Environment]
    #: A discovery has read the environment's flows and indexed the callers in them.
    is_home_read: bool = False


async def find_callers(
    services: Services, request: CallerSearchRequest, rows: FencedRows[CallerSearchProgress]
) -> list[str]:
    """Find places that hold a trigger URL or a child flow's id. Index them.

    Continues with the `rows` of an interrupted search. Returns one sentence about each part that
    could not be searched; callers there are found only when they call. Raises `TransientError` if
    it has to wait; another call continues.
    """
    findings: list[str] = []
    begun = {progress.kind: progress for progress in await rows.read_all()}
    for kind in services.callers.values():
        if isinstance(kind, InJsonService) and not await kind.read_scopes():
            continue
        progress = begun.get(kind.kind) or CallerSearchProgress(
            environment_job_id=rows.partition, kind=kind.kind
        )
        if not progress.is_done:
            where = [request.environment] if kind.is_environment_only else request.everywhere
            if request.is_home_read and isinstance(kind, FoundInDefinitions):
                where = [one for one in where if one.id != request.environment.id]
            progress = await search_caller_kind(services, where, progress, rows)
        findings += progress.findings
    await rows.clear()
    return findings


async def index_callers_in_flows(
    services: Services, environment: Environment, flows: Sequence[Workflow]
) -> None:
    """Store in the caller index the callers in definitions that were read for another purpose."""
    kinds = [kind for kind in services.callers.values() if isinstance(kind, FoundInDefinitions)]
    places = [
        place
        for kind in kinds
        for flow in flows
        for caller in kind.find_callers_in_flow(environment, flow)
        for place in build_caller_index_entries(
            caller, services.now, is_shared=isinstance(kind, WritesWholeResource)
        )
    ]
    await services.tables.caller_index.upsert(*places)


async def delete_stale_searches(services: Services) -> None:
    """Delete the progress of searches that no job continues, because their results are too old."""
    where = [Condition("updated_at", "lt", format_sortable_time(services.now - SEARCH_LASTS))]
    await services.tables.caller_searches.clear(where=where)


async def search_caller_kind(
    services: Services,
    where: Sequence[Environment],
    progress: CallerSearchProgress,
    rows: FencedRows[CallerSearchProgress] | None,
) -> CallerSearchProgress:
    """Search one kind of caller from where `progress` stopped.

    Return the progress of the completed search. `rows` store the progress. Without them, an
    interrupted search starts again. Raises `TransientError` if it has to wait; another call with
    the stored progress continues.
    """
    kind = services.callers[progress.kind]
    search = CallerSearchPosition(
        continue_after=progress.continue_after, unreadable=list(progress.unreadable)
    )
    places: list[CallerIndexEntry] = []
    is_shared = isinstance(kind, WritesWholeResource)

    async def store_progress(*findings: str, is_done: bool = False) -> CallerSearchProgress:
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
        if rows:
            await rows.upsert(now)
        return now

    try:
        async for caller in kind.find(where, search):
            places += build_caller_index_entries(caller, services.now, is_shared=is_shared)
            if len(places) >= _BATCH_SIZE:
                await store_progress()
    except PermanentError as err:
        fix = err.fix if isinstance(err, JobBlocked) else ""
        why = str(err).removeprefix("Not searched: ")
        what = f"The search for callers of kind {kind.kind} is incomplete: {why}"
        text = f"{what.rstrip('.')}. {fix}".rstrip()
        return await store_progress(text, is_done=True)
    except TransientError:
        await store_progress()
        raise
    return await store_progress(is_done=True)
