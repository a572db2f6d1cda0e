"""Find the callers of the flows that stay on Microsoft's key, for an assessment.

The id in a flow's trigger URL is known from an earlier plan or job, or from a run of the flow
(platform.md#flow-runs). If the id is unknown, or a search did not complete, the assessment says
that callers may be missing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from shared.alerts import alert_unreadable_row, read_readable
from shared.domain.assessment.assessment import AssessedCaller, AssessedFlow
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.callers.caller_records import CallerIndexEntry
from shared.domain.callers.notification_channels import (
    CHANGED_BY_HAND,
    OWN_CHANNEL,
    find_channels_using,
)
from shared.domain.callers.url_secret import is_url_secret
from shared.domain.environment import Environment
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST
from shared.errors import UnreadableRow
from shared.services import Services
from shared.steps.assessing.read_flow_parts import NO_RUN
from shared.steps.flows.caller_index import read_known_url_ids, read_url_id_of_runs
from shared.steps.optional_read import read_or_no_answer
from shared.steps.updating_callers.search_callers import CallerSearchResult


async def find_assessed_callers(
    services: Services,
    environment: Environment,
    searched: CallerSearchResult,
    flows: Sequence[AssessedFlow],
) -> list[AssessedFlow]:
    """Return the flows with their callers except canvas apps."""
    url_ids, whys = await _read_url_ids(services, environment, flows, searched)
    held = {flow.workflow_id for flow in flows} | {*url_ids.values()}
    places = await _read_index_entries(services, held - {""})
    found = []
    for flow in flows:
        url_id, why = url_ids.get(flow.workflow_id, ""), whys.get(flow.workflow_id)
        missing = [f"Callers by URL are unknown: {why.rstrip('.')}."] if why else []
        found.append(
            replace(
                flow,
                callers=_list_callers_of_flow(
                    services, environment, searched, places, flow, url_id
                ),
                callers_unknown_reason=" ".join([*missing, *searched.gaps]),
            )
        )
    return found


async def _read_url_ids(
    services: Services,
    environment: Environment,
    flows: Sequence[AssessedFlow],
    searched: CallerSearchResult,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the ids of trigger URLs, and why others are unknown, both by workflow id."""
    known = await read_known_url_ids(services, environment.id)
    whys: dict[str, str] = {}
    silent: NoAnswer | None = None
    for flow in flows:
        identity = flow.workflow_id
        if not flow.has_trigger_url or known.get(identity):
            continue
        if identity in searched.unknown_urls:
            whys[identity] = searched.unknown_urls[identity]
            continue
        if silent is None:
            name = flow.flow_name or identity
            answer = await read_or_no_answer(read_url_id_of_runs(services, environment.id, name))
            if isinstance(answer, NoAnswer):
                # After one failure no further flow is tried, because all share the same budget.
                silent = answer
            elif answer:
                known[identity] = answer
                continue
        whys[identity] = silent.message if silent else NO_RUN
    return known, whys


type _Places = Mapping[str, Sequence[CallerIndexEntry | UnreadableRow]]


async def _read_index_entries(services: Services, held: Collection[str]) -> _Places:
    found: dict[str, list[CallerIndexEntry | UnreadableRow]] = {}
    async for row in services.tables.caller_index.scan():
        place = row if isinstance(row, UnreadableRow) else row.item
        holds = place.row[1] if isinstance(place, UnreadableRow) else place.held_id
        if holds in held:
            found.setdefault(holds, []).append(place)
            if isinstance(place, UnreadableRow):
                await alert_unreadable_row(services, place)
    return found


def _list_callers_of_flow(
    services: Services,
    environment: Environment,
    searched: CallerSearchResult,
    places: _Places,
    flow: AssessedFlow,
    url_id: str,
) -> tuple[AssessedCaller, ...]:
    found = dict[str, AssessedCaller]()
    for place in [*places.get(url_id, ()), *places.get(flow.workflow_id, ())]:
        if isinstance(place, UnreadableRow):
            label, manual = str(place), place.fix
            found[place.name] = AssessedCaller(kind="", label=label, manual_reason=manual)
            continue
        # A workflow keeps its id when its solution is imported elsewhere; a URL means the same
        # everywhere.
        calls = place.held_id == url_id or place.caller.environment_id == environment.id
        if calls and searched.covers(place):
            found[place.id] = AssessedCaller(
                kind=place.caller.kind,
                label=place.caller.label,
                manual_reason=place.caller.manual_reason,
                is_broken=url_id in place.caller.retired_url_ids,
                holds_url=url_id in place.caller.trigger_url_ids
                and not is_url_secret(place.caller.address, services.settings.trigger_url_vault),
            )
    for key, label in find_channels_using(services.settings.channel_addresses, url_id):
        found[key] = AssessedCaller(kind=OWN_CHANNEL, label=label, manual_reason=CHANGED_BY_HAND)
    return tuple(sorted(found.values(), key=lambda one: (one.kind, one.label)))


async def read_callers_on_retired_host(
    services: Services, searched: CallerSearchResult
) -> list[str]:
    """Return the names of callers with a trigger URL on a host that no longer serves flows.

    See platform.md#retired-hosts.
    """
    found = read_readable(services, services.tables.caller_index.scan(RETIRED_HOST))
    places = [kept.item async for kept in found]
    return sorted({place.caller.label for place in places if searched.covers(place)})
