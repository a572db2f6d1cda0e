"""Find who calls the flows that stay, for an assessment. Reads only, and within a deadline.

Places hold trigger URLs, and a URL's id is known from an earlier plan or job, or from a run of the
flow, which an administrator may read (contract §5.7). Where no id is known, or a search did not
end, the flow's callers may be more than are shown, and the assessment says so.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedCaller, AssessedFlow
from shared.domain.assessment.facts import NoAnswer
from shared.domain.callers import agents
from shared.domain.callers.own_channels import CHANGED_BY_HAND, OWN_CHANNEL, own_channels
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import Environment
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST
from shared.errors import UnreadableRow
from shared.notices import readable, tell_unreadable
from shared.services import Services
from shared.steps.ask import ask
from shared.steps.flows.calling_places import known_url_ids, places_calling, url_id_of_runs
from shared.steps.moving_callers.search_callers import Searched

_NO_RUN = "no run of the last 28 days shows its URL"


async def find_assessed_callers(
    services: Services,
    environment: Environment,
    searched: Searched,
    flows: Sequence[AssessedFlow],
) -> list[AssessedFlow]:
    """Return the flows with their callers of every kind but canvas apps."""
    url_ids = await known_url_ids(services, environment.id)
    found = []
    silent: NoAnswer | None = None
    for flow in flows:
        url_id, why = url_ids.get(flow.workflow_id, ""), ""
        if flow.has_trigger_url and not url_id and silent is None:
            name = flow.flow_name or flow.workflow_id
            answer = await ask(url_id_of_runs(services, environment.id, name))
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
                callers=await _callers(services, environment, searched, flow, url_id),
                callers_gap=" ".join([*missing, *searched.gaps]),
            )
        )
    return found


async def _callers(
    services: Services,
    environment: Environment,
    searched: Searched,
    flow: AssessedFlow,
    url_id: str,
) -> tuple[AssessedCaller, ...]:
    found = dict[str, AssessedCaller]()
    try:
        async for place in places_calling(
            services, environment.id, url_id=url_id, flow_ids={flow.workflow_id}
        ):
            if searched.covers(place):
                found[place.id] = AssessedCaller(
                    kind=place.caller.kind,
                    label=place.caller.label,
                    manual=place.caller.manual,
                    is_broken=url_id in place.caller.retired_url_ids,
                )
    except UnreadableRow as err:
        await tell_unreadable(services, err)
        found[err.name] = AssessedCaller(kind="", label=str(err), manual=err.instruction)
    if TriggerCategory(flow.category).is_run_by_agents:
        found[agents.KIND] = AssessedCaller(
            kind=agents.KIND, label=agents.LABEL, manual=agents.BY_THEIR_MAKERS
        )
    for key, label in own_channels(services.settings.channel_addresses, url_id):
        found[key] = AssessedCaller(kind=OWN_CHANNEL, label=label, manual=CHANGED_BY_HAND)
    return tuple(sorted(found.values(), key=lambda one: (one.kind, one.label)))


async def places_on_retired_host(services: Services, searched: Searched) -> list[str]:
    """Return labels of places with a URL where flows do not answer any more (§15.1)."""
    found = readable(services, services.tables.places.scan(RETIRED_HOST))
    places = [kept.item async for kept in found]
    return sorted({place.caller.label for place in places if searched.covers(place)})
