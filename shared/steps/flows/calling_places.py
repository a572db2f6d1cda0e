"""Which places call a flow, by the last search; and the id by which they do."""

from collections.abc import AsyncIterator, Collection

from shared.domain.callers.records import Place
from shared.domain.flow import RUN_HISTORY
from shared.errors import NotFound
from shared.notices import readable
from shared.ports import Condition
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


async def known_url_ids(
    services: Services, environment_id: str, *, but_not: str = ""
) -> dict[str, str]:
    """Return trigger URL ids that jobs and plans of an environment found, by workflow id.

    `but_not` is the environment job whose plan is left out.
    """
    known = {
        kept.item.original_id: kept.item.original_url_id
        async for kept in readable(services, services.tables.jobs.scan(environment_id))
        if kept.item.original_url_id
    }
    where = [Condition("environment", "eq", environment_id)]
    async for job in readable(services, services.tables.environment_jobs.scan(where=where)):
        if job.item.id == but_not:
            continue
        async for item in readable(services, services.tables.plans.scan(job.item.id)):
            if item.item.url_id:
                known.setdefault(item.item.workflow_id, item.item.url_id)
    return known
