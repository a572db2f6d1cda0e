"""Which places call a flow, by the last search; and the id by which they do."""

from collections.abc import AsyncIterator, Collection

from shared.domain.callers.records import Place
from shared.domain.flow import RUN_HISTORY
from shared.errors import NotFound
from shared.services import Services


async def places_calling(
    services: Services, environment_id: str, *, url_id: str, flow_ids: Collection[str]
) -> AsyncIterator[Place]:
    """Yield each place that holds a flow's trigger URL (its id may be empty), or one of its ids.

    A workflow keeps its id when its solution is imported elsewhere (contract §6.1), and a flow runs
    child flows of its own environment only. A trigger URL means the same everywhere.
    """
    for held in filter(None, (url_id, *sorted(flow_ids))):
        async for kept in services.tables.places.query(held):
            if held == url_id or kept.item.caller.environment_id == environment_id:
                yield kept.item


async def url_id_of_runs(services: Services, environment_id: str, flow_name: str) -> str:
    """Return the id in a flow's trigger URL as its latest run shows it; empty: none does.

    An administrator may read runs without being co-owner: one call (contract §5.7).
    """
    since = services.now - RUN_HISTORY
    try:
        runs = await services.flow_reports.runs(environment_id, flow_name, since=since, limit=1)
    except NotFound:
        return ""  # deleted since it was listed
    return next((run.trigger_url_id for run in runs if run.trigger_url_id), "")
