"""Find the callers of a flow in the index of the last search, and the ids of flows'
trigger URLs.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from shared.alerts import read_readable
from shared.domain.callers.caller_records import CallerIndexEntry
from shared.domain.flow import RUN_HISTORY
from shared.domain.timer_run import TimerRun
from shared.domain.trigger_urls.known_url import KnownUrl
from shared.errors import AlreadyExists, NotFound, UnreadableRow
from shared.services import Services

#: Up to this many ids are looked up by a query each; for more, the whole table is read once.
_MAX_QUERIES = 20
#: The name, among the timer runs, of the one that built the index of trigger URLs.
_INDEX_RUN = "index_of_trigger_urls"


async def read_callers_of_flow(
    services: Services, environment_id: str, *, url_id: str, flow_ids: Collection[str]
) -> AsyncIterator[CallerIndexEntry]:
    """Yield each caller of a flow, as `select_callers_of_flow` does.

    Raises `UnreadableRow` if a row is unreadable.
    """
    places = await read_callers_by_id(services, {url_id, *flow_ids})
    for place in select_callers_of_flow(environment_id, places, url_id=url_id, flow_ids=flow_ids):
        yield place


def select_callers_of_flow(
    environment_id: str,
    places: Mapping[str, Sequence[CallerIndexEntry]],
    *,
    url_id: str,
    flow_ids: Collection[str],
) -> Iterator[CallerIndexEntry]:
    """Yield each caller that holds a flow's trigger URL id or one of its flow ids.

    `url_id` may be empty. A trigger URL means the same flow everywhere. A flow id counts only in
    its environment: a workflow keeps its id when its solution is imported elsewhere
    (platform.md#stable-ids), and a flow only runs child flows of its own environment.
    """
    for held in filter(None, (url_id, *sorted(flow_ids))):
        for place in places.get(held, ()):
            if held == url_id or place.caller.environment_id == environment_id:
                yield place


async def read_callers_by_id(
    services: Services, holds: Collection[str]
) -> dict[str, list[CallerIndexEntry]]:
    """Return the callers that hold each of these ids. Ids without a caller are omitted.

    Many ids are read with one query. Raises `UnreadableRow` if a row of one of these ids is
    unreadable.
    """
    wanted, found = frozenset(filter(None, holds)), defaultdict[str, list[CallerIndexEntry]](list)
    table = services.tables.caller_index
    partitions = sorted(wanted) if len(wanted) <= _MAX_QUERIES else [None]
    for partition in partitions:
        async for row in table.scan(partition):
            held = row.row[1] if isinstance(row, UnreadableRow) else row.item.held_id
            if held not in wanted:
                continue
            if isinstance(row, UnreadableRow):
                raise row
            found[held].append(row.item)
    return dict(found)


async def read_url_id_of_runs(services: Services, environment_id: str, flow_name: str) -> str:
    """Return the trigger URL id that a flow's latest run shows, or "".

    An administrator may read runs without being a co-owner. Sends one request
    (platform.md#flow-runs).
    """
    since = services.now - RUN_HISTORY
    try:
        runs = await services.flow_reports.read_runs(
            environment_id, flow_name, since=since, limit=1
        )
    except NotFound:
        return ""  # deleted after it was listed
    return next((run.trigger_url_id for run in runs if run.trigger_url_id), "")


async def read_known_url_ids(
    services: Services, environment_id: str, *, but_not: str = ""
) -> dict[str, str]:
    """Return the known trigger URL ids of an environment's flows, by workflow id.

    `but_not` is an environment job whose own results are omitted.
    """
    known = {
        kept.item.original.id: kept.item.original.url_id
        async for kept in read_readable(services, services.tables.flow_jobs.scan(environment_id))
        if kept.item.original.url_id
    }
    async for found in read_readable(services, services.tables.known_urls.scan(environment_id)):
        if found.item.found_by != but_not:
            known.setdefault(found.item.workflow_id, found.item.url_id)
    return known


async def index_trigger_url(services: Services, known: KnownUrl) -> None:
    """Store a trigger URL id for later plans. Call it before the row of a plan contains the id."""
    with suppress(AlreadyExists):
        await services.tables.known_urls.insert(known)


async def index_trigger_urls_of_plans(services: Services) -> None:
    """Add the trigger URL ids of plans of an earlier version to the index, once.

    After a crash, the work is repeated.
    """
    timer_runs = services.tables.timer_runs
    if await timer_runs.get("timer", _INDEX_RUN):
        return
    jobs = read_readable(services, services.tables.environment_jobs.scan())
    environments = {kept.item.id: kept.item.environment_id async for kept in jobs}
    async for row in read_readable(services, services.tables.plan_items.scan()):
        item = row.item
        if item.trigger_url_id and item.environment_job_id in environments:
            await index_trigger_url(
                services,
                KnownUrl(
                    environment_id=environments[item.environment_job_id],
                    workflow_id=item.workflow_id,
                    url_id=item.trigger_url_id,
                    found_by=item.environment_job_id,
                ),
            )
    await timer_runs.upsert(TimerRun(timer=_INDEX_RUN, completed_at=services.now))
