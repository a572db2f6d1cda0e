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


async def flows_of(services: Services, environment: Environment) -> list[Named]:
    """Return every flow of Dataverse, and those on Microsoft's key that it does not have."""
    found: dict[str, Named] = {}
    if environment.dataverse_url:
        cursor, is_first = "", True
        while cursor or is_first:
            page = await services.flow_pages.known(environment, cursor)
            for row in page.items:
                found[row.workflow_id] = Named(id=row.workflow_id, name=row.name)
            cursor, is_first = page.cursor, False
    for flow in await services.flow_reports.microsoft_key_flows(
        environment.id, cannot_migrate_only=False
    ):
        others = (flow.flow_name.lower(),)
        found[flow.identity] = Named(id=flow.identity, name=flow.display_name, others=others)
    return sorted(found.values(), key=lambda one: (one.name.casefold(), one.id))


async def list_flows(services: Services, environment_id: str) -> list[Named]:
    """Return the flows of an environment by name; raises `NotFound`."""
    return await flows_of(services, await services.environments.get(environment_id))


async def require_flows(
    services: Services, environments: Sequence[Environment], flows: Collection[str]
) -> None:
    """Return if each flow is in one of the environments; raises `UnknownFlow` with those alike.

    What Dataverse does not list the flow service is asked for, once for each such flow.
    """
    if not flows:
        return
    every = [one for each in environments for one in await flows_of(services, each)]
    known = {each for one in every for each in one.ids}
    unknown = [
        one
        for one in sorted(flows)
        if one.lower() not in known and not await _is_there(services, environments, one)
    ]
    where = " or ".join(one.display_name for one in environments)
    _refuse(unknown, every, where)


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
