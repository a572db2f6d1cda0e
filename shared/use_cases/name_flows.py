"""The flows of an environment by id and name, and whether one that somebody names is there.

A list that keeps flows safe does nothing for a flow that is mistyped in it: it would be copied.
"""

from collections.abc import Collection, Sequence

from shared.domain.environment import Environment
from shared.domain.identifiers import is_identifier
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.name_lookup import NamedItem, find_by_id_or_name, find_similar
from shared.domain.plans.plan_item import PlanItem
from shared.errors import FlowNotFound, NotFound
from shared.services import Services
from shared.steps.flows.key_report import REQUEST_PATIENCE, key_report


async def list_flows(services: Services, environment_id: str) -> list[NamedItem]:
    """Return the flows of an environment by name; raises `NotFound`.

    Every flow of Dataverse, and those on Microsoft's key that it does not have.
    """
    environment = await services.environments.get(environment_id)
    found = {one.id: one for one in await _rows(services, environment)}
    found |= {one.id: one for one in await _reported(services, environment)}
    return sorted(found.values(), key=lambda one: (one.name.casefold(), one.id))


async def _rows(services: Services, environment: Environment) -> list[NamedItem]:
    """Return the flows that Dataverse has."""
    if not environment.dataverse_url:
        return []
    page = await services.flow_pages.workflow_summaries(environment)
    rows = [*page.items]
    while page.cursor:
        page = await services.flow_pages.workflow_summaries(environment, page.cursor)
        rows += page.items
    return [NamedItem(id=one.workflow_id, name=one.name) for one in rows]


async def _reported(services: Services, environment: Environment) -> list[NamedItem]:
    """Return the flows on Microsoft's key, with the name that the flow service has for each."""
    async with key_report(services, environment.id, patience=REQUEST_PATIENCE) as report:
        return [
            NamedItem(id=one.identity, name=one.display_name, others=(one.flow_name,))
            for one in report.flows
        ]


async def require_flows(
    services: Services, environments: Sequence[Environment], flows: Collection[str]
) -> dict[str, str]:
    """Return the id of each flow by the id or title that names it.

    Raises `FlowNotFound`, with candidates, for a flow that is in none of the environments and for a
    title that several have. Ids that Dataverse lists cost no call of the flow service. A title is
    looked for in both lists, as each can have a flow of that title that the other has not.
    """
    where = " or ".join(one.display_name for one in environments)
    known: list[NamedItem] = []
    wanted, found = set(flows), dict[str, str]()
    for read in (_rows, _reported):
        unknown = wanted - found.keys()
        for environment in environments if unknown else ():
            known += await read(services, environment)
        found |= {one: one.lower() for one in unknown if _is_id(one, known)}
    for one in wanted - found.keys():
        if named := _id_of(one, known, where):
            found[one] = named
    for one in sorted(wanted - found.keys()):
        if await _is_there(services, environments, one):
            found[one] = one.lower()
    _refuse(sorted(wanted - found.keys()), known, where)
    return found


async def _is_there(services: Services, environments: Sequence[Environment], flow: str) -> bool:
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
    """Return the items of these flows, which are named by an id or their title.

    Raises `FlowNotFound`, with candidates, for one that is not there and for a title that several
    have. `where` is of which they are.
    """
    named = list(map(_named, items))
    ids = {one: _id_of(one, named, where) for one in flows}
    _refuse(sorted(one for one, found in ids.items() if not found), named, where)
    wanted = set(ids.values())
    return [item for one, item in zip(named, items, strict=True) if wanted.intersection(one.ids)]


def _id_of(text: str, known: Sequence[NamedItem], where: str) -> str:
    """Return the id that a text is or means; empty: none.

    Raises `FlowNotFound` if it means several.
    """
    if _is_id(text, known):
        return text.lower()
    found = {
        one.id.lower(): one.name for one in find_by_id_or_name(text, known, by_beginning=False)
    }
    if len(found) > 1:
        message = f"{text} is more than one flow of {where}: say which by its id."
        raise FlowNotFound(message, candidates=found)
    return next(iter(found), "")


def _is_id(text: str, known: Sequence[NamedItem]) -> bool:
    return any(text.lower() in one.ids for one in known)


def _named(item: FlowJob | PlanItem) -> NamedItem:
    identity = item.original_id if isinstance(item, FlowJob) else item.workflow_id
    return NamedItem(id=identity, name=item.display_name, others=(item.flow_name,))


def _refuse(unknown: Sequence[str], known: Sequence[NamedItem], where: str) -> None:
    """Raise `FlowNotFound` if there is any, with those known that are alike."""
    if unknown:
        alike = {found.id: found.name for one in unknown for found in find_similar(one, known)}
        raise FlowNotFound(f"No flow of {where} is {', '.join(unknown)}.", candidates=alike)
