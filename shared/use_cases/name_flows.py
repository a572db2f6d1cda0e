"""Find the flows that a person means by ids or names.

Unknown flows are errors, because a mistyped name in a list of excluded flows would let the flow be
copied.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial

from shared.concurrency import read_each
from shared.domain.environment import Environment
from shared.domain.ids import is_identifier
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.name_lookup import NamedItem, find_items_by_id_or_name, find_similar_items
from shared.domain.plans.plan_item import PlanItem
from shared.errors import FlowNotFound, NotFound, ThrottledError
from shared.services import Services
from shared.steps.flows.discovery_pages import read_all_pages
from shared.steps.flows.key_report import REQUEST_PATIENCE, open_key_report

_UNCHECKED = (
    "{flow} is not in Dataverse and not on the list of flows on Microsoft's key, and the flow "
    "service of {where} accepts few requests now. Correct or remove the other lines, or send some "
    "of these lines at once, and try again in a minute."
)
#: More ids than these are compared with the list of all flows, which needs fewer requests.
_MOST_SINGLE = 3


async def list_flows(services: Services, environment_id: str) -> list[NamedItem]:
    """Return the flows of an environment, ordered by name.

    Includes flows on the Microsoft-key list that Dataverse does not have. Raises `NotFound` if the
    environment does not exist.
    """
    environment = await services.environments.get(environment_id)
    found = {one.id: one for one in await _read_dataverse_flows(services, environment)}
    found |= {one.id: one for one in await _read_microsoft_key_list(services, environment)}
    return sorted(found.values(), key=lambda one: (one.name.casefold(), one.id))


async def _read_dataverse_flows(services: Services, environment: Environment) -> list[NamedItem]:
    if not environment.dataverse_url:
        return []
    read = partial(services.flow_pages.read_workflow_summaries, environment)
    rows = await read_all_pages(read)
    return [NamedItem(id=one.workflow_id, name=one.name) for one in rows]


async def _read_microsoft_key_list(services: Services, environment: Environment) -> list[NamedItem]:
    async with open_key_report(services, environment.id, patience=REQUEST_PATIENCE) as report:
        return [
            NamedItem(id=one.identity, name=one.display_name, others=(one.flow_name,))
            for one in report.flows
        ]


async def require_workflow_ids(
    services: Services, environments: Sequence[Environment], flows: Collection[str]
) -> dict[str, str]:
    """Return the workflow id for each id or name in `flows`.

    Raises `FlowNotFound`, with candidates, for an unknown flow and for a name that several flows
    have. Searches names in Dataverse and on the Microsoft-key list, because each may contain flows
    that the other does not.
    """
    where = " or ".join(one.display_name for one in environments)
    known: list[NamedItem] = []
    wanted, found = set(flows), dict[str, str]()
    for read in (_read_dataverse_flows, _read_microsoft_key_list):
        unknown = wanted - found.keys()
        for environment in environments if unknown else ():
            known += await read(services, environment)
        found |= {one: one.lower() for one in unknown if _is_id(one, known)}
    for one in wanted - found.keys():
        if named := _find_workflow_id(one, known, where):
            found[one] = named
    missing: list[str] = []
    for one in sorted(wanted - found.keys()):
        try:
            is_there = await _has_flow(services, environments, one)
        except ThrottledError:
            _require_no_unknown_flow(missing, known, where)  # a retry would not come further
            raise
        if is_there:
            found[one] = one.lower()
        else:
            missing.append(one)
    _require_no_unknown_flow(missing, known, where)
    return found


async def find_each_workflow_id(
    services: Services, environment_id: str, flows: Collection[str]
) -> dict[str, str | FlowNotFound]:
    """Return, for each id or name in `flows`, the workflow id or the error.

    Raises `NotFound` for an unknown environment.
    """
    environment = await services.environments.get(environment_id)
    known, where = await list_flows(services, environment_id), environment.display_name
    unlisted = [one for one in flows if is_identifier(one) and not _is_id_or_name(one, known)]
    every: list[NamedItem] = []
    if len(unlisted) > _MOST_SINGLE:
        with suppress(ThrottledError):
            listed = await services.flow_reports.list_flows(environment_id)
            # Without names, which would be found twice.
            every = [NamedItem(id=one.identity, name="", others=(one.flow_name,)) for one in listed]

    async def find_id_or_error(one: str) -> str | FlowNotFound:
        try:
            found = _find_workflow_id(one, known, where) or _find_workflow_id(one, every, where)
            if not found and await _has_flow(services, [environment], one):
                found = one.lower()
            _require_no_unknown_flow([] if found else [one], known, where)
        except FlowNotFound as err:
            return err
        except ThrottledError:  # the budget is smaller than the list of unknown ids
            return FlowNotFound(_UNCHECKED.format(flow=one, where=where), candidates={})
        return found

    return dict(zip(flows, await read_each(flows, find_id_or_error), strict=True))


async def _has_flow(services: Services, environments: Sequence[Environment], flow: str) -> bool:
    for environment in environments if is_identifier(flow) else ():
        try:
            await services.flow_reports.get_flow(environment.id, flow)
        except NotFound:
            continue
        return True
    return False


def select_flows[T: FlowJob | PlanItem](
    items: Sequence[T], flows: Collection[str], where: str
) -> list[T]:
    """Return the items of these flows, which are given by id or name.

    Raises `FlowNotFound`, with candidates, for an unknown flow and for a name that several have.
    `where` describes the searched items in messages.
    """
    named = list(map(_build_named_item, items))
    ids = {one: _find_workflow_id(one, named, where) for one in flows}
    _require_no_unknown_flow(sorted(one for one, found in ids.items() if not found), named, where)
    wanted = set(ids.values())
    return [item for one, item in zip(named, items, strict=True) if wanted.intersection(one.ids)]


def _find_workflow_id(text: str, known: Sequence[NamedItem], where: str) -> str:
    """Return the id of the flow that a text names, or "" if it names none.

    Raises `FlowNotFound` if the text names several flows.
    """
    if _is_id(text, known):
        return text.lower()
    found = {
        one.id.lower(): one.name
        for one in find_items_by_id_or_name(text, known, by_beginning=False)
    }
    if len(found) > 1:
        message = f"Several flows of {where} are called {text}. Use an id."
        raise FlowNotFound(message, candidates=found)
    return next(iter(found), "")


def _is_id_or_name(text: str, known: Sequence[NamedItem]) -> bool:
    return _is_id(text, known) or bool(find_items_by_id_or_name(text, known, by_beginning=False))


def _is_id(text: str, known: Sequence[NamedItem]) -> bool:
    return any(text.lower() in one.ids for one in known)


def _build_named_item(item: FlowJob | PlanItem) -> NamedItem:
    if isinstance(item, FlowJob):
        identity, flow_name = item.original.id, item.original.flow_name
    else:
        identity, flow_name = item.workflow_id, item.flow_name
    return NamedItem(id=identity, name=item.display_name, others=(flow_name,))


def _require_no_unknown_flow(
    unknown: Sequence[str], known: Sequence[NamedItem], where: str
) -> None:
    if unknown:
        alike = {
            found.id: found.name for one in unknown for found in find_similar_items(one, known)
        }
        raise FlowNotFound(f"No flow of {where} matches {', '.join(unknown)}.", candidates=alike)
