"""Complete a plan: read who calls each flow and whom it is shared with.

Only the flow service knows which flow a trigger URL belongs to, with one request per flow: see
trigger_urls.py.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched

from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_records import CallerIndexEntry
from shared.domain.callers.notification_channels import (
    CHANGED_BY_HAND,
    OWN_CHANNEL,
    find_channels_using,
)
from shared.domain.conversions.preview import ConversionPreview, preview_conversion
from shared.domain.definitions.event_grid_validation import NOT_ANSWERED
from shared.domain.definitions.flow_definition import UnreadableDefinition
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import Environment
from shared.domain.plans.choose_url_secret import choose_url_secret
from shared.domain.plans.plan_item import PlanItem, PlannedAction, PlannedCaller
from shared.domain.plans.planned_changes import list_planned_changes
from shared.domain.plans.preparation import with_conversion_preview
from shared.domain.plans.row_limits import select_fitting_callers
from shared.domain.plans.unknowns import (
    OF_EVERY_COPY,
    OUTSIDE_SOLUTIONS,
    UNCHECKED_POLICIES,
    UNKNOWN_CALLERS,
)
from shared.domain.plans.url_limits import describe_url_limits
from shared.domain.sharing import Share
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, NotFound, PlatformError, TransientError
from shared.services import Services
from shared.steps.copying.add_copy_to_solutions import read_solutions_to_join
from shared.steps.copying.share_copy import RUN_ONLY_NOTE
from shared.steps.flows.caller_index import read_callers_by_id, select_callers_of_flow
from shared.steps.planning.policy_denials import PolicyDenials, find_policy_denials
from shared.steps.planning.trigger_urls import TriggerUrlIndex
from shared.steps.planning.url_secrets import ProposedSecret, propose_url_secrets

type Keep = Callable[[Sequence[PlanItem]], Awaitable[None]]

#: Flows that are read and stored together.
_BATCH_SIZE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRunLookups:
    """The flows whose runs are read for their trigger URL ids, and the known ids."""

    urls: TriggerUrlIndex
    #: Workflow ids.
    flows: frozenset[str] = frozenset()


async def read_completed_items(
    services: Services,
    environment: Environment,
    items: Sequence[PlanItem],
    looks: FlowRunLookups,
    keep: Keep,
    *,
    plan: Sequence[PlanItem] | None = None,
) -> list[PlanItem]:
    """Return the items with their callers, co-owners, solutions and proposed conversions.

    `plan` are all items of the plan, by default `items`. `keep` stores what was read before more is
    read, so that a repeated call continues. If a flow's shares cannot be read now, raises its
    `TransientError` after the rest of its batch is stored.
    """
    done = {item.workflow_id: item for item in items}
    copied = list_copied_flows(items if plan is None else plan)

    async def keep_completed(*some: PlanItem) -> None:
        done.update((item.workflow_id, item) for item in some)
        await keep(some)

    left = [item for item in items if not item.is_complete]
    for some in batched(
        (one for one in left if _needs_sharing_read(one)), _BATCH_SIZE, strict=False
    ):
        shared, err = await _read_sharing(services, environment, some)
        await keep_completed(*shared)
        if err:
            raise err
    edited = (
        done[one.workflow_id]
        for one in left
        if one.possible_conversions and not one.conversion_preview
    )
    for some in batched(edited, _BATCH_SIZE, strict=False):
        await keep_completed(*await _read_proposals(services, environment, some))
    for item in [done[one.workflow_id] for one in left if one.workflow_id in looks.flows]:
        if looks.urls.unclaimed and not item.was_run_checked:
            await keep_completed(
                await looks.urls.read_and_store_url_id(services, environment.id, item)
            )
    for some in batched([done[one.workflow_id] for one in left], _BATCH_SIZE, strict=False):
        prepared = [_with_unknowns(one, looks) for one in some]
        places = await read_callers_by_id(services, list_ids_that_callers_have(prepared))
        known = KnownCallers(
            environment_id=environment.id,
            places=places,
            secrets=await propose_url_secrets(services, environment.id, prepared, places),
            denials=await find_policy_denials(services, prepared, places),
            copied=copied,
        )
        await keep_completed(*[with_callers(services, one, known) for one in prepared])
    return [done[item.workflow_id] for item in items]


def _needs_sharing_read(item: PlanItem) -> bool:
    # Of a flow outside solutions, the read would need a request of a small budget.
    return item.action.is_copy and item.in_solution and item.co_owner_count is None


async def _read_sharing(
    services: Services, environment: Environment, items: Sequence[PlanItem]
) -> tuple[list[PlanItem], TransientError | None]:
    """Return the items whose shares and solutions were read, and an error if more can be read
    later.
    """
    ids = [item.workflow_id for item in items]
    shares = await services.flow_sharing.list_shares_by_flow(environment, ids)
    try:
        solutions = await read_solutions_to_join(services, environment, ids)
    except (PlatformError, NotFound):
        return [], _find_first_transient_error(shares.values())
    told = [
        replace(
            item,
            co_owner_count=len(found),
            solutions=tuple(solution.title for solution in solutions[item.workflow_id]),
        )
        for item in items
        if not isinstance(found := shares[item.workflow_id], CmkflowError)
    ]
    return told, _find_first_transient_error(shares.values())


def _find_first_transient_error(
    answers: Iterable[Sequence[Share] | CmkflowError],
) -> TransientError | None:
    return next((one for one in answers if isinstance(one, TransientError)), None)


def _with_unknowns(item: PlanItem, looks: FlowRunLookups) -> PlanItem:
    if item.has_trigger_url and not item.trigger_url_id:
        item = replace(item, trigger_url_id=looks.urls.known.get(item.workflow_id, ""))
    if item.action.is_copy:
        is_run_by_people = TriggerCategory(item.category).can_have_run_only_users
        item = replace(item, notes=(RUN_ONLY_NOTE,) if is_run_by_people else ())
    if item.action.is_copy and item.is_on:
        outside = () if item.in_solution else (OUTSIDE_SOLUTIONS,)
        is_dark = item.has_trigger_url and not item.trigger_url_id and looks.urls.unclaimed
        unknowns = (*OF_EVERY_COPY, *outside, *((UNKNOWN_CALLERS,) if is_dark else ()))
        item = replace(item, unknowns=tuple(one.text for one in unknowns))
    return item


async def _read_proposals(
    services: Services, environment: Environment, items: Sequence[PlanItem]
) -> list[PlanItem]:
    why = "Dataverse has no row for the flow"
    rows: dict[str, str] = {}
    try:
        ids = [item.workflow_id for item in items]
        for row in await services.flow_pages.read_workflows_by_id(environment, ids):
            rows[row.workflow_id] = row.client_data
    except (PlatformError, NotFound) as err:
        why = redact(str(err))
    return [
        with_conversion_preview(item, _preview_conversion(rows.get(item.workflow_id), item, why))
        for item in items
    ]


def _preview_conversion(client_data: str | None, item: PlanItem, why: str) -> ConversionPreview:
    if client_data is not None:
        try:
            return preview_conversion(client_data, item.possible_conversions)
        except UnreadableDefinition as err:
            why = redact(str(err))
    return ConversionPreview(obstacles=(f"The definition cannot be read: {why}",))


def list_copied_flows(items: Iterable[PlanItem]) -> frozenset[str]:
    """Return the Dataverse ids of the flows that this plan or an earlier one copies."""
    return frozenset(
        item.workflow_id
        for item in items
        if item.action.is_copy or item.action is PlannedAction.CONTINUE_EXISTING_JOB
    )


def list_ids_that_callers_have(items: Iterable[PlanItem]) -> set[str]:
    """Return the ids by which callers refer to these flows.

    A canvas app may contain either id of a flow.
    """
    return {one for item in items for one in (item.trigger_url_id, *_list_flow_ids(item)) if one}


def _list_flow_ids(item: PlanItem) -> set[str]:
    return {item.workflow_id, item.flow_name.lower()}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCallers:
    """What is known about callers when the items of an environment's plan are completed."""

    environment_id: str
    #: Index entries by the ids that callers hold.
    places: Mapping[str, Sequence[CallerIndexEntry]]
    #: By workflow id.
    secrets: Mapping[str, ProposedSecret]
    #: By address of a caller.
    denials: PolicyDenials
    #: Dataverse ids of flows that are copied too.
    copied: frozenset[str]
    #: Dataverse ids of flows that do not count as callers.
    but_not: frozenset[str] = frozenset()


def with_callers(services: Services, item: PlanItem, known: KnownCallers) -> PlanItem:
    """Return the item with its callers from the last search and its planned changes."""
    environment_id, secret = known.environment_id, known.secrets.get(item.workflow_id)
    found = [
        *select_callers_of_flow(
            environment_id, known.places, url_id=item.trigger_url_id, flow_ids=_list_flow_ids(item)
        )
    ]
    copy_host = services.settings.cloud.derive_environment_host(environment_id)
    obstacles = secret.obstacles if secret else {}
    callers = {
        place.id: PlannedCaller(
            kind=place.caller.kind,
            label=place.caller.label,
            manual_reason=_describe_manual_change(
                copy_host, item, place.caller, known.denials.get(place.caller.address) or ""
            ),
            is_copied=place.caller.workflow_id in known.copied,
            reference_obstacle=obstacles.get(place.caller),
            reader_evidence=secret.reader_evidence.get(place.caller, "") if secret else "",
        )
        for place in found
        if place.caller.workflow_id not in known.but_not
    }
    if any(known.denials.get(place.caller.address, "") is None for place in found):
        unknowns = dict.fromkeys((*item.unknowns, UNCHECKED_POLICIES.text))
        item = replace(item, unknowns=tuple(unknowns))
    for key, label in find_channels_using(services.settings.channel_addresses, item.trigger_url_id):
        callers[key] = PlannedCaller(kind=OWN_CHANNEL, label=label, manual_reason=CHANGED_BY_HAND)
    item = replace(
        item,
        callers=select_fitting_callers(tuple(callers.values())),
        possible_url_secret=secret.address if secret and secret.can_be_used else "",
        is_complete=True,
    )
    if secret:
        return choose_url_secret(item, item.url_secret_use or secret.default_use)
    item = replace(item, url_secret="", url_secret_use=None)
    return replace(item, planned_changes=tuple(one.text for one in list_planned_changes(item)))


def _describe_manual_change(copy_host: str, item: PlanItem, caller: Caller, denial: str) -> str:
    has_new_url = item.has_trigger_url and item.migration_method.has_copy
    if not has_new_url:
        return caller.manual_reason
    limits = describe_url_limits(copy_host, item.trigger_name, caller)
    is_unanswered = caller.is_validated_by_event_grid and not item.answers_event_grid
    found = (caller.manual_reason, denial, limits, NOT_ANSWERED if is_unanswered else "")
    return " ".join(filter(None, found))
