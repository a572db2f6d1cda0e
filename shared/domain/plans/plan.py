"""Plan what to do about each discovered flow that stays on Microsoft's key."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from shared.domain.conversions.conversion import ConversionKind
from shared.domain.conversions.preview import list_possible_conversions
from shared.domain.definitions.flow_definition import DefinitionFormat
from shared.domain.definitions.flow_summary import DefinitionSummary
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod, choose_migration_method
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.discovery import NOT_SHOWN, FlowOnMicrosoftKey
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.microsoft_key_rule import evaluate_flow, explain_listed_flow
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem, PlannedAction
from shared.domain.plans.preparation import (
    mark_as_needing_changes,
    with_conversion_preview,
    with_planned_edit,
    with_planned_preparation,
)
from shared.domain.platform_errors import DEFINITION_NOT_SHOWN, find_error_fix


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCandidate:
    """A discovered flow that stays on Microsoft's key, with its existing job and copy."""

    flow: FlowOnMicrosoftKey
    #: The existing job for it; None: there is none.
    job: FlowJob | None
    #: The state of the copy that a job for it would create; None: there is no such flow.
    copy_state: FlowState | None = None

    @property
    def ids(self) -> set[str]:
        """Return the ids by which people may name the flow, in lower case."""
        return {self.flow.workflow_id, self.flow.flow_name.lower()}

    @property
    def is_replaced(self) -> bool:
        """Return whether the flow's copy is in use.

        If the row of its flow job is lost, the states of original and copy decide.
        """
        if self.job:
            return self.job.state is FlowJobState.RETIRED
        return self.copy_state is FlowState.ON and not self.flow.is_on

    @property
    def is_off_and_has_lost_job(self) -> bool:
        """Return whether the flow is off, and has a copy but no row of its flow job."""
        return not self.job and bool(self.copy_state) and not self.flow.is_on


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    environment_job_id: str
    environment_id: str
    #: Requested flows by id or flow name; empty: all.
    flow_ids: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    max_flows: int = 100
    #: No key is applied yet, so only changes that avoid a copy are planned.
    is_prepare: bool = False
    #: The environment has Dataverse, where flows are written as rows.
    has_dataverse: bool = True

    def format_command(self, item: PlanItem) -> str:
        """Return the command that starts a remediation in which the app may change this flow."""
        mode = "prepare" if self.is_prepare else "apply"
        return (
            f"cmkflow remediation start {self.environment_id} --mode {mode} "
            f"--flow {item.workflow_id}"
        )


def build_plan_items(
    request: PlanRequest, candidates: Collection[PlanCandidate], graph: DependencyGraph
) -> list[PlanItem]:
    """Return a plan item for each flow to plan, children before parents.

    A requested flow is planned with its dependent flows that stay on Microsoft's key, except in a
    preparation.
    """
    by_id = {candidate.flow.workflow_id: candidate for candidate in candidates}
    scope = _find_flows_in_scope(request, by_id, graph)
    in_loop = {flow: loop for loop in graph.call_loops for flow in loop}
    items: dict[str, PlanItem] = {}
    for workflow_id in graph.leaves_first:
        if workflow_id not in scope:
            continue
        candidate = by_id[workflow_id]
        item = _build_plan_item(request, candidate, graph, by_id)
        item = _with_chosen_action(request, candidate, item, in_loop, by_id)
        item = (
            with_conversion_preview(item, candidate.flow.conversion_preview)
            if candidate.flow.conversion_preview
            else item
        )
        items[workflow_id] = _mark_if_child_is_not_copied(item, items, by_id)
    return _exclude_flows_beyond_limit(request, items, graph)


def _find_flows_in_scope(
    request: PlanRequest, by_id: Mapping[str, PlanCandidate], graph: DependencyGraph
) -> frozenset[str]:
    if not request.flow_ids:
        return frozenset(by_id)
    named = {
        candidate.flow.workflow_id
        for candidate in by_id.values()
        if candidate.ids & request.flow_ids
    }
    if request.is_prepare:
        return frozenset(named)
    return frozenset(
        member
        for family in _find_dependent_groups(by_id, graph)
        if named & set(family)
        for member in family
    )


def _find_dependent_groups(
    by_id: Mapping[str, PlanCandidate], graph: DependencyGraph
) -> tuple[tuple[str, ...], ...]:
    """Return the groups of candidates that are connected by calls.

    Calls through flows that are no candidates do not connect them.
    """
    among = {flow: _select_candidates(graph.find_children(flow), by_id) for flow in by_id}
    return DependencyGraph(among).dependent_groups


def _select_candidates(flows: Iterable[str], by_id: Mapping[str, PlanCandidate]) -> tuple[str, ...]:
    return tuple(sorted(flow for flow in flows if flow in by_id))


def _build_plan_item(
    request: PlanRequest,
    candidate: PlanCandidate,
    graph: DependencyGraph,
    by_id: Mapping[str, PlanCandidate],
) -> PlanItem:
    flow, definition = candidate.flow, candidate.flow.definition
    category = definition.category if definition else TriggerCategory.UNKNOWN
    reasons: tuple[MicrosoftKeyReason, ...] = (MicrosoftKeyReason.UNKNOWN,)
    explanation = flow.unreadable_reason
    if definition:
        assessment = explain_listed_flow(
            definition,
            evaluate_flow(
                definition,
                in_solution=flow.in_solution,
                held_back_children=by_id.keys() - {flow.workflow_id},
            ),
        )
        reasons, explanation = assessment.microsoft_key_reasons, assessment.message
    return PlanItem(
        environment_job_id=request.environment_job_id,
        workflow_id=flow.workflow_id,
        flow_name=flow.flow_name,
        display_name=flow.display_name,
        category=category,
        trigger_name=definition.trigger_name if definition else "",
        has_trigger_url=category.has_callback_url,
        in_solution=flow.in_solution,
        migration_method=choose_migration_method(category, is_on=flow.is_on),
        is_on=flow.is_on,
        microsoft_key_reasons=tuple(str(reason) for reason in reasons),
        action=PlannedAction.COPY,
        message=explanation,
        digest=flow.digest,
        children=_select_candidates(graph.find_children(flow.workflow_id), by_id),
        owner=flow.owner,
        embedded_connections=_list_bindable_connections(definition),
        parents=_select_candidates(graph.find_parents(flow.workflow_id), by_id),
        http_hosts=definition.http_hosts if definition else (),
        answers_event_grid=definition is not None and definition.answers_event_grid,
        possible_conversions=list_possible_conversions(definition, in_solution=flow.in_solution)
        if definition
        else (),
    )


def _list_bindable_connections(definition: DefinitionSummary | None) -> tuple[str, ...]:
    if definition is None:
        return ()
    custom = definition.custom_connections
    return tuple(label for label in definition.embedded_connections if label not in custom)


def _with_chosen_action(
    request: PlanRequest,
    candidate: PlanCandidate,
    item: PlanItem,
    in_loop: Mapping[str, tuple[str, ...]],
    by_id: Mapping[str, PlanCandidate],
) -> PlanItem:
    job, named = candidate.job, _is_named_in_request(request, candidate)
    if candidate.ids & request.excluded:
        return _exclude_item(item, "An administrator excluded it.", NotMigratedReason.EXCLUDED)
    if candidate.is_replaced:
        back = " The original was turned on again: turn it off." if candidate.flow.is_on else ""
        return _exclude_item(item, f"Its copy has replaced it, and the original is retired.{back}")
    if job and job.is_withdrawn and not named:
        why = f"Its job was {job.state}. To migrate it, name the flow in a new remediation."
        return _exclude_item(item, why, NotMigratedReason(job.state))
    if job and not job.allows_new_job:
        pattern = item.migration_method if job.migration_method.has_copy else job.migration_method
        return replace(
            item,
            action=PlannedAction.CONTINUE_EXISTING_JOB,
            migration_method=pattern,
            message=f"Remediation {job.remediation_id} migrates it.",
        )
    needed = _find_needed_changes(request, candidate, item, in_loop, by_id)
    if needed:
        explanation, fix = needed
        return replace(
            item,
            action=PlannedAction.NEEDS_CHANGES,
            message=explanation,
            fix=fix,
        )
    if request.is_prepare:
        return with_planned_preparation(item, request.format_command(item), is_named=named)
    if ConversionKind.LIST_FLOWS_ACTION in item.possible_conversions:
        only_action = replace(item, possible_conversions=(ConversionKind.LIST_FLOWS_ACTION,))
        return (
            with_planned_edit(only_action)
            if named
            else mark_as_needing_changes(item, request.format_command(item))
        )
    if item.migration_method is MigrationMethod.COPY_OFF:
        return replace(item, action=PlannedAction.COPY_OFF)
    if item.migration_method is MigrationMethod.CUT_OVER:
        return replace(item, action=PlannedAction.CUT_OVER)
    family = item.children or item.parents
    return replace(
        item, action=PlannedAction.COPY_WITH_DEPENDENT_FLOWS if family else PlannedAction.COPY
    )


def _find_needed_changes(
    request: PlanRequest,
    candidate: PlanCandidate,
    item: PlanItem,
    in_loop: Mapping[str, tuple[str, ...]],
    by_id: Mapping[str, PlanCandidate],
) -> tuple[str, str] | None:
    """Return why a person has to change the flow first, and what to do.

    Returns None if the app can migrate it.
    """
    definition = candidate.flow.definition
    if definition is None:
        fix = "Open the flow in Power Automate and save it once. Then start a new remediation."
        if candidate.flow.unreadable_reason.startswith(NOT_SHOWN):
            fix = find_error_fix(DEFINITION_NOT_SHOWN)
        return (f"Its definition cannot be read: {candidate.flow.unreadable_reason}", fix)
    if candidate.flow.is_managed:
        return (
            "It is part of a managed solution.",
            (
                "Copy it in the environment where the solution is developed, and import the "
                "solution again. Then start a new remediation."
            ),
        )
    if definition.format is DefinitionFormat.LOGIC_APP or not definition.trigger_categories:
        return (
            "It is not a cloud flow with a trigger.",
            "Check its row in Dataverse, and delete the row if nothing uses it.",
        )
    if not request.has_dataverse:
        return (
            "Its environment has no Dataverse, which the app needs to copy and change flows.",
            (
                "Add a Dataverse database to the environment, then start a new remediation. Or "
                "copy the flow yourself."
            ),
        )
    if request.is_prepare:
        return None
    if TriggerCategory.UNKNOWN in definition.trigger_categories and not _is_named_in_request(
        request, candidate
    ):
        return (
            "The app does not know its trigger, so it may be self-starting or called.",
            (
                "Find out what starts it. If a cutover is possible (the original is turned off, "
                "then the copy on), start a remediation for this flow "
                f"(`{request.format_command(item)}`). Otherwise exclude it and copy it yourself."
            ),
        )
    if candidate.is_off_and_has_lost_job and not _is_named_in_request(request, candidate):
        command = request.format_command(item)
        return (
            "The flow and its copy are off, and the copy's job is lost.",
            (
                "If the flow was on before, turn it on and start a new remediation. Otherwise "
                f"start a remediation for this flow (`{command}`)."
            ),
        )
    if candidate.flow.workflow_id in in_loop:
        members = ", ".join(
            by_id[flow].flow.display_name if flow in by_id else flow
            for flow in in_loop[candidate.flow.workflow_id]
        )
        return (
            f"These flows run one another in a call loop: {members}.",
            "Remove one of the calls, then start a new remediation.",
        )
    return None


def _mark_if_child_is_not_copied(
    item: PlanItem, items: Mapping[str, PlanItem], by_id: Mapping[str, PlanCandidate]
) -> PlanItem:
    """Return the item as one that needs changes first, if one of its children is not copied.

    A parent's copy runs its children's copies.
    """
    if not item.action.is_copy:
        return item
    for child in item.children:
        planned = items.get(child)
        job = by_id[child].job
        goes = planned is not None and (
            planned.action.is_copy or planned.action is PlannedAction.CONTINUE_EXISTING_JOB
        )
        if not goes and not (job and job.is_verified):
            return replace(
                item,
                action=PlannedAction.NEEDS_CHANGES,
                message=f"Its child flow {by_id[child].flow.display_name} is not copied.",
                fix=f"Change {by_id[child].flow.display_name} first, then start a new remediation.",
            )
    return item


def _exclude_flows_beyond_limit(
    request: PlanRequest, items: Mapping[str, PlanItem], graph: DependencyGraph
) -> list[PlanItem]:
    """Exclude the flows beyond the flow limit, and every flow that runs one of them."""
    left: set[str] = set()
    count = 0
    result: list[PlanItem] = []
    for workflow_id, item in items.items():
        if item.action.is_work:
            count += 1
            if count > request.max_flows or graph.find_descendants(workflow_id) & left:
                left.add(workflow_id)
                limit = "1 flow" if request.max_flows == 1 else f"{request.max_flows} flows"
                why = f"Beyond the limit of {limit} per remediation."
                item = _exclude_item(item, why, NotMigratedReason.OVER_FLOW_LIMIT)
        result.append(item)
    return result


def _exclude_item(item: PlanItem, why: str, left: NotMigratedReason | None = None) -> PlanItem:
    return replace(item, action=PlannedAction.NO_CHANGE, message=why, not_migrated_reason=left)


def _is_named_in_request(request: PlanRequest, candidate: PlanCandidate) -> bool:
    return bool(candidate.ids & request.flow_ids)
