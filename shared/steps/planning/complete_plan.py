"""Complete what a plan says of each flow: who calls it, whom it is shared with. Reads only.

What Dataverse tells is read of a hundred flows in one call. Which flow a trigger URL leads to only
the flow service tells, in a call for each flow: see trigger_urls.py.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched

from shared.domain.callers import agents
from shared.domain.callers.caller_records import CallerIndexEntry
from shared.domain.callers.notification_channels import CHANGED_BY_HAND, OWN_CHANNEL, channels_using
from shared.domain.conversions.preview import ConversionPreview, preview_conversion
from shared.domain.definitions.flow_definition import UnreadableDefinition
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.display_names import copy_name, retired_name, shortened
from shared.domain.environment import Environment
from shared.domain.jobs.flow_job import MigrationMethod
from shared.domain.plans.plan_item import PlanItem, PlannedCaller
from shared.domain.plans.preparation import describe_changes, with_proposal
from shared.domain.plans.row_limits import fitting_callers
from shared.domain.sharing import Share
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, NotFound, PlatformError, TransientError
from shared.services import Services
from shared.steps.copying.add_copy_to_solutions import solutions_to_join
from shared.steps.copying.share_copy import RUN_ONLY_NOTE
from shared.steps.flows.caller_index import calling, places_held
from shared.steps.planning.trigger_urls import TriggerUrlIndex

type Keep = Callable[[Sequence[PlanItem]], Awaitable[None]]

#: Flows that are read together, and kept together.
_TOGETHER = 500
#: Before an original is stopped, what can be known is looked at (`retiring/check_restart.py`).
_NOT_KNOWN = (
    "Whether a data policy would refuse to start it or its copy: it runs now, so none forbids it.",
    "Whether its owner may still use connections of others: the platform says so at the start.",
    "Whether its owner's licence covers its connectors: it is looked at for HTTP alone.",
)
#: Of a flow without a row in Dataverse nobody can be acted for (platform.md#rows-of-flows).
_NOT_KNOWN_OUTSIDE_SOLUTIONS = (
    "Whether the app, or the operator, may turn it on again: it is in no solution.",
)
_WHO_CALLS_IT = (
    "Who calls it by its trigger URL: callers hold URLs of which no run tells whose they are.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRunLookups:
    """Whose runs are looked at for the id of a trigger URL."""

    urls: TriggerUrlIndex
    #: Workflow ids.
    flows: frozenset[str] = frozenset()


async def complete(
    services: Services,
    environment: Environment,
    items: Sequence[PlanItem],
    looks: FlowRunLookups,
    keep: Keep,
) -> list[PlanItem]:
    """Return the items with their callers, co-owners and solutions, and with their proposals.

    `keep` is given what was read before more is asked for: called again with that, it goes on.
    Raises `TransientError`, once all the others are kept, where a flow gives no answer now.
    """
    done = {item.workflow_id: item for item in items}

    async def kept(*some: PlanItem) -> None:
        done.update((item.workflow_id, item) for item in some)
        await keep(some)

    left = [item for item in items if not item.is_complete]
    for some in batched((one for one in left if _lacks_sharing(one)), _TOGETHER, strict=False):
        shared, err = await _with_sharing(services, environment, some)
        await kept(*shared)
        if err:
            raise err
    edited = (done[one.workflow_id] for one in left if one.edits and not one.proposal)
    for some in batched(edited, _TOGETHER, strict=False):
        await kept(*await _with_proposals(services, environment, some))
    for item in [done[one.workflow_id] for one in left if one.workflow_id in looks.flows]:
        if looks.urls.unclaimed and not item.was_run_checked:
            await kept(await looks.urls.look_up(services, environment.id, item))
    for some in batched([done[one.workflow_id] for one in left], _TOGETHER, strict=False):
        noted = [_noted(one, looks) for one in some]
        places = await places_held(services, ids_that_callers_hold(noted))
        await kept(*[with_callers(services, environment.id, one, places) for one in noted])
    return [done[item.workflow_id] for item in items]


def _lacks_sharing(item: PlanItem) -> bool:
    """Of a flow in no solution only the flow service tells, a call of its small budget."""
    return item.action.is_copy and item.in_solution and item.co_owner_count is None


async def _with_sharing(
    services: Services, environment: Environment, items: Sequence[PlanItem]
) -> tuple[list[PlanItem], TransientError | None]:
    """Return the items with whom their copies are shared with, and the solutions those join.

    Also an error of those that give no answer now. Of what is refused the job says what is
    missing, when it is its turn.
    """
    ids = [item.workflow_id for item in items]
    shares = await services.flow_sharing.list_each(environment, ids)
    try:
        solutions = await solutions_to_join(services, environment, ids)
    except (PlatformError, NotFound):
        return [], _silent(shares.values())
    told = [
        replace(
            item,
            co_owner_count=len(found),
            solutions=tuple(solution.title for solution in solutions[item.workflow_id]),
        )
        for item in items
        if not isinstance(found := shares[item.workflow_id], CmkflowError)
    ]
    return told, _silent(shares.values())


def _silent(answers: Iterable[Sequence[Share] | CmkflowError]) -> TransientError | None:
    return next((one for one in answers if isinstance(one, TransientError)), None)


def _noted(item: PlanItem, looks: FlowRunLookups) -> PlanItem:
    """Return the item with what is not known of its flow."""
    if item.has_trigger_url and not item.trigger_url_id:
        item = replace(item, trigger_url_id=looks.urls.known.get(item.workflow_id, ""))
    if item.action.is_copy:
        is_run_by_people = TriggerCategory(item.category).can_have_run_only_users
        item = replace(item, notes=(RUN_ONLY_NOTE,) if is_run_by_people else ())
    if item.action.is_copy and item.is_on:
        outside = () if item.in_solution else _NOT_KNOWN_OUTSIDE_SOLUTIONS
        is_dark = item.has_trigger_url and not item.trigger_url_id and looks.urls.unclaimed
        item = replace(item, unknowns=_NOT_KNOWN + outside + (_WHO_CALLS_IT if is_dark else ()))
    return item


async def _with_proposals(
    services: Services, environment: Environment, items: Sequence[PlanItem]
) -> list[PlanItem]:
    """Return the items with what a conversion of their definitions would change."""
    why = "Dataverse has no row of the flow"
    rows: dict[str, str] = {}
    try:
        ids = [item.workflow_id for item in items]
        for row in await services.flow_pages.workflows_by_id(environment, ids):
            rows[row.workflow_id] = row.client_data
    except (PlatformError, NotFound) as err:
        why = redact(str(err))
    return [with_proposal(item, _proposal(rows.get(item.workflow_id), item, why)) for item in items]


def _proposal(client_data: str | None, item: PlanItem, why: str) -> ConversionPreview:
    if client_data is not None:
        try:
            return preview_conversion(client_data, item.edits)
        except UnreadableDefinition as err:
            why = redact(str(err))
    return ConversionPreview(obstacles=(f"The definition cannot be read: {why}",))


def ids_that_callers_hold(items: Iterable[PlanItem]) -> set[str]:
    """Return the ids by which places call these flows; a canvas app may hold either of a flow's."""
    return {one for item in items for one in (item.trigger_url_id, *_flow_ids(item)) if one}


def _flow_ids(item: PlanItem) -> set[str]:
    return {item.workflow_id, item.flow_name.lower()}


def with_callers(
    services: Services,
    environment_id: str,
    item: PlanItem,
    places: Mapping[str, Sequence[CallerIndexEntry]],
    *,
    but_not: frozenset[str] = frozenset(),
) -> PlanItem:
    """Return the item with the callers that the last search found, and its writes.

    `places` are those that hold each of its ids, and maybe others. `but_not` are Dataverse ids of
    flows that do not count as callers.
    """
    found = calling(environment_id, places, url_id=item.trigger_url_id, flow_ids=_flow_ids(item))
    callers = {
        place.id: PlannedCaller(
            kind=place.caller.kind, label=place.caller.label, manual=place.caller.manual
        )
        for place in found
        if place.caller.workflow_id not in but_not
    }
    if TriggerCategory(item.category).is_run_by_agents:
        callers[agents.KIND] = PlannedCaller(
            kind=agents.KIND, label=agents.LABEL, manual=agents.BY_THEIR_MAKERS
        )
    for key, label in channels_using(services.settings.channel_addresses, item.trigger_url_id):
        callers[key] = PlannedCaller(kind=OWN_CHANNEL, label=label, manual=CHANGED_BY_HAND)
    item = replace(item, callers=fitting_callers(tuple(callers.values())))
    return replace(item, writes=_writes(item), is_complete=True)


def _writes(item: PlanItem) -> tuple[str, ...]:
    if not item.action.is_work:
        return ()
    references = (
        f"make a connection reference for the connection {label}, unless one leads to it"
        for label in item.embedded_connections
    )
    if not item.action.is_copy:
        return describe_changes(item)
    title = item.display_name
    writes = [f"create the flow {copy_name(title)}, off, for the original's owner"]
    writes += [f"add the copy to the solution {solution}" for solution in item.solutions]
    if item.co_owner_count is None:
        writes.append(f"share the copy as {title} is shared")
    elif item.co_owner_count:
        many = "s" if item.co_owner_count > 1 else ""
        writes.append(f"share the copy with {item.co_owner_count} co-owner{many} of {title}")
    if item.has_trigger_url and item.pattern is MigrationMethod.UPDATE_CALLERS:
        writes += [
            f"make the operator co-owner of {title} and of its copy to read their URLs",
            "take the operator's co-ownership of both back, each time they were read",
        ]
    if item.pattern is MigrationMethod.UPDATE_CALLERS:
        writes.append("turn the copy on")
        writes += [f"update {caller.label}" for caller in item.callers if not caller.manual]
        writes.append("update callers that are found until then")
    if item.pattern is MigrationMethod.CUT_OVER:
        writes += [f"turn {title} off", "turn the copy on"]
    if item.pattern is MigrationMethod.UPDATE_CALLERS:
        writes.append(f"turn {title} off once it has been quiet")
    if item.in_solution and retired_name(title) != title:
        writes.append(f"rename {title} to {retired_name(title)}")
    is_long = shortened(title) != title
    else_short = f", or to {shortened(title)} where Dataverse does not take that" if is_long else ""
    writes.append(f"rename the copy to {title}{else_short}")
    return (*references, *writes)
