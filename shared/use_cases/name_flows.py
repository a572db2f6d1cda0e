"""The flows of an environment by id and name, and whether one that somebody names is there.

A list that keeps flows safe does nothing for a flow that is mistyped in it: it would be copied.
"""

from collections.abc import Collection, Sequence

from shared.domain.environment import Environment
from shared.domain.jobs.job import FlowJob
from shared.domain.named import Named, close
from shared.domain.plans.plan_item import PlanItem
from shared.errors import NotFound, UnknownFlow
from shared.services import Services


async def list_flows(services: Services, environment_id: str) -> list[Named]:
    """Return the flows of an environment by name; raises `NotFound`.

    Every flow of Dataverse, and those on Microsoft's key that it does not have.
    """
    environment = await services.environments.get(environment_id)
    found = {one.id: one for one in await _rows(services, environment)}
    found |= {one.id: one for one in await _reported(services, environment)}
    return sorted(found.values(), key=lambda one: (one.name.casefold(), one.id))


async def _rows(services: Services, environment: Environment) -> list[Named]:
    """Return the flows that Dataverse has."""
    if not environment.dataverse_url:
        return []
    page = await services.flow_pages.known(environment)
    rows = [*page.items]
    while page.cursor:
        page = await services.flow_pages.known(environment, page.cursor)
        rows += page.items
    return [Named(id=one.workflow_id, name=one.name) for one in rows]


async def _reported(services: Services, environment: Environment) -> list[Named]:
    """Return the flows on Microsoft's key, with the name that the flow service has for each."""
    reports = services.flow_reports
    flows = await reports.microsoft_key_flows(environment.id, cannot_migrate_only=False)
    return [Named(id=one.identity, name=one.display_name, others=(one.flow_name,)) for one in flows]


async def require_flows(
    services: Services, environments: Sequence[Environment], flows: Collection[str]
) -> None:
    """Return if each flow is in one of the environments; raises `UnknownFlow` with those alike.

    The flow service is asked for what Dataverse does not list, and for each that neither lists.
    """
    known: list[Named] = []
    unknown = sorted(flows)
    for read in (_rows, _reported):
        for environment in environments if unknown else ():
            known += await read(services, environment)
        ids = {each for one in known for each in one.ids}
        unknown = [one for one in unknown if one.lower() not in ids]
    unknown = [one for one in unknown if not await _is_there(services, environments, one)]
    _refuse(unknown, known, " or ".join(one.display_name for one in environments))


async def _is_there(services: Services, environments: Sequence[Environment], flow: str) -> bool:
    for environment in environments:
        try:
            await services.flow_reports.get_flow(environment.id, flow)
        except NotFound:
            continue
        return True
    return False


def chosen[T: FlowJob | PlanItem](
    items: Sequence[T], flows: Collection[str], where: str
) -> list[T]:
    """Return the items of these flows; raises `UnknownFlow`. `where` is of which they are."""
    wanted = {one.lower() for one in flows}
    named = list(map(_named, items))
    known = {each for one in named for each in one.ids}
    _refuse(sorted(wanted - known), named, where)
    return [item for one, item in zip(named, items, strict=True) if wanted.intersection(one.ids)]


def _named(item: FlowJob | PlanItem) -> Named:
    identity = item.original_id if isinstance(item, FlowJob) else item.workflow_id
    return Named(id=identity, name=item.display_name, others=(item.flow_name,))


def _refuse(unknown: Sequence[str], known: Sequence[Named], where: str) -> None:
    """Raise `UnknownFlow` if there is any, with those known that are alike."""
    if unknown:
        alike = {found.id: found.name for one in unknown for found in close(one, known)}
        raise UnknownFlow(f"No flow of {where} is {', '.join(unknown)}.", candidates=alike)
