"""Find who calls the flows that stay, for an assessment. Reads only, and within a deadline.

Places hold trigger URLs, and a URL's id is known from an earlier plan or job, or from a run of the
flow, which an administrator may read (contract §5.7). Where no id is known, or a search did not
end, the flow's callers may be more than are shown, and the assessment says so.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedCaller, AssessedFlow
from shared.domain.assessment.facts import NoAnswer
from shared.domain.environment import Environment
from shared.domain.flow import RUN_HISTORY
from shared.errors import NotFound
from shared.ports import Condition
from shared.services import Services
from shared.steps.ask import ask
from shared.steps.moving_callers.search_callers import Searched

_NO_RUN = "no run of the last 28 days shows its URL"


async def find_assessed_callers(
    services: Services,
    environment: Environment,
    searched: Searched,
    flows: Sequence[AssessedFlow],
) -> list[AssessedFlow]:
    """Return the flows with their callers of every kind but canvas apps."""
    url_ids = await _known_url_ids(services, environment.id)
    found = []
    silent: NoAnswer | None = None
    for flow in flows:
        url_id, why = url_ids.get(flow.workflow_id, ""), ""
        if flow.has_trigger_url and not url_id and silent is None:
            answer = await ask(_url_id(services, environment.id, flow))
            if isinstance(answer, NoAnswer):
                # One refusal is enough: the budget is the same for the others.
                silent = answer
            else:
                url_id = answer
        if flow.has_trigger_url and not url_id:
            why = silent.why if silent else _NO_RUN
        missing = [f"Callers by URL are not known: {why}."] if why else []
        found.append(
            replace(
                flow,
                callers=await _callers(services, environment, searched, (flow.workflow_id, url_id)),
                callers_gap=" ".join([*missing, *searched.gaps]),
            )
        )
    return found


async def _callers(
    services: Services, environment: Environment, searched: Searched, holds: Collection[str]
) -> tuple[AssessedCaller, ...]:
    """Return the places that the search found for a flow's id (the first) and its URL's."""
    flow_id = next(iter(holds))
    found: dict[str, AssessedCaller] = {}
    for held in filter(None, holds):
        async for kept in services.tables.places.query(held):
            place, caller = kept.item, kept.item.caller
            if not searched.covers(place):
                continue
            if held == flow_id and caller.environment_id != environment.id:
                continue  # the same solution, imported elsewhere
            found[place.id] = AssessedCaller(
                kind=caller.kind, label=caller.label, manual=caller.manual
            )
    return tuple(sorted(found.values(), key=lambda one: (one.kind, one.label)))


async def _known_url_ids(services: Services, environment_id: str) -> dict[str, str]:
    """Return trigger URL ids that earlier jobs and plans found, by workflow id."""
    known = {
        job.original_id: job.original_url_id
        for job in await services.tables.jobs.all(environment_id)
        if job.original_url_id
    }
    where = [Condition("environment", "eq", environment_id)]
    for job in await services.tables.environment_jobs.all(where=where):
        for item in await services.tables.plans.all(job.id):
            if item.url_id:
                known.setdefault(item.workflow_id, item.url_id)
    return known


async def _url_id(services: Services, environment_id: str, flow: AssessedFlow) -> str:
    since = services.now - RUN_HISTORY
    name = flow.flow_name or flow.workflow_id
    try:
        runs = await services.flow_reports.runs(environment_id, name, since=since, limit=1)
    except NotFound:
        return ""  # deleted since it was listed
    return next((run.trigger_url_id for run in runs if run.trigger_url_id), "")
