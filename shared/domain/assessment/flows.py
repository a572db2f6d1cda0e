"""Find the flows that stay on Microsoft's key, and why.

Combines the rule of Microsoft's documents (microsoft_key_rule.py) with the platform's list
(platform.md#microsoft-key-list). Findings report where the two differ.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping

from shared.domain.assessment.assessment import AssessedFlow, AssessmentPhase
from shared.domain.assessment.recommendations import list_recommendations
from shared.domain.assessment.remediated_flows import list_remediation_findings
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.finding import Finding, passed, problem, unknown, warning
from shared.domain.plans.dependency_graph import DependencyGraph
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.microsoft_key_rule import MicrosoftKeyEvaluation, evaluate_flows
from shared.domain.trigger_urls.trigger_url import RETIRED_HOST

#: Only makers can list run-only users; the platform has no documented API for it
#: (platform.md#run-only-users).
_RUN_ONLY_UNKNOWN = (
    "Unknown: the platform has no API that shows run-only users to an application. Check 'Run "
    "only users' on the flow's page: a copy has none."
)
_RUN_ONLY_UNLIKELY = (
    "Unknown: the platform has no API for it. Only flows that people start have run-only users, "
    "and this flow is not one of them."
)


def find_phase(facts: EnvironmentSnapshot) -> AssessmentPhase:
    """Return how far the platform has moved the environment's flows to the key."""
    if facts.environment.policy is None:
        return AssessmentPhase.BEFORE_KEY
    if not facts.environment.is_linked:
        return AssessmentPhase.PLATFORM_MIGRATION
    if isinstance(facts.microsoft_key_lists, NoAnswer):
        return AssessmentPhase.UNKNOWN
    return (
        AssessmentPhase.PLATFORM_MIGRATION
        if facts.microsoft_key_lists.movable
        else AssessmentPhase.AFTER_KEY
    )


def assess_flows(facts: EnvironmentSnapshot) -> tuple[AssessedFlow, ...]:
    """Return every flow that stays, or may stay, on Microsoft's key.

    Those that certainly stay come first. Returns none if the flows could not be read.
    """
    if isinstance(facts.flows, NoAnswer):
        return ()
    answers = _evaluate_all_flows(facts, facts.flows)
    graph = _build_dependency_graph(facts.flows)
    is_before = find_phase(facts) is AssessmentPhase.BEFORE_KEY
    found = []
    for flow in facts.flows.values():
        answer = answers[flow.workflow_id]
        if answer.stays_on_microsoft_key is False or _was_moved_to_key(facts, flow):
            continue
        summary = flow.summary
        chains = [
            _list_display_names(facts.flows, chain)
            for chain in _find_reason_paths(flow, graph, answers)
        ]
        ancestors = graph.find_ancestors(flow.workflow_id) - {flow.workflow_id}
        found.append(
            AssessedFlow(
                workflow_id=flow.workflow_id,
                flow_name=flow.flow_name,
                display_name=flow.display_name,
                owner=flow.owner,
                is_on=flow.is_on,
                is_managed=flow.is_managed,
                in_solution=flow.in_solution,
                category=summary.category if summary else TriggerCategory.UNKNOWN,
                has_trigger_url=bool(summary and summary.category.has_callback_url),
                stays_on_microsoft_key=answer.stays_on_microsoft_key,
                is_on_microsoft_key_list=_is_on_microsoft_key_list(facts, flow),
                microsoft_key_reasons=tuple(str(reason) for reason in answer.microsoft_key_reasons),
                message=answer.message,
                blocked_by_flows=chains[0] if chains else (),
                parent_chains=tuple(chains),
                blocks_flows=_list_display_names(facts.flows, sorted(ancestors)),
                run_only_users=_describe_run_only_users(summary.category if summary else None),
                recommendations=list_recommendations(
                    answer.microsoft_key_reasons, is_before=is_before, is_managed=flow.is_managed
                ),
            )
        )
    found.sort(key=lambda one: (one.stays_on_microsoft_key is None, one.display_name.lower()))
    return tuple(found)


def list_flow_findings(
    facts: EnvironmentSnapshot, flows: Collection[AssessedFlow]
) -> Iterator[Finding]:
    """Yield findings about the flows, such as how many stay on Microsoft's key."""
    code = "flows_staying"
    if isinstance(facts.flows, NoAnswer):
        yield unknown(code, f"The flows could not be read: {facts.flows.message}", "Assess again.")
        for text in facts.differences:
            yield warning(code, text, "The definition could not be read, so the reason is unknown.")
        return
    rest = [flow for flow in flows if flow.remediation_status.needs_remediation]
    certain = sum(flow.stays_on_microsoft_key is True for flow in rest)
    doubtful = len(rest) - certain
    total = f"of {len(facts.flows)} cloud flows"
    if certain:
        text = f"{certain} {total} {'stays' if certain == 1 else 'stay'} on Microsoft's key."
        yield warning(code, text, "The list of flows says what to do with each.")
    if doubtful:
        text = f"{doubtful} {total} may stay on Microsoft's key."
        yield unknown(
            code, text, "Read the list of flows, and assess again after the key is applied."
        )
    if not flows and facts.has_all_flows and not isinstance(facts.microsoft_key_lists, NoAnswer):
        yield passed(code, f"None {total} stays on Microsoft's key.")
    yield from list_remediation_findings(flows, total)
    yield from _list_reconciliation_findings(facts, facts.flows)
    yield from _list_call_loop_findings(facts.flows, {flow.workflow_id for flow in rest})
    retired = {flow.workflow_id for flow in flows if flow.remediation_status.is_retired}
    yield from _list_definition_findings(facts, facts.flows, retired)


def _list_definition_findings(
    facts: EnvironmentSnapshot, flows: Mapping[str, FlowFacts], retired: Collection[str]
) -> Iterator[Finding]:
    answers = _evaluate_all_flows(facts, flows)
    for flow in flows.values():
        if flow.workflow_id in retired:
            continue
        if flow.summary is None and answers[flow.workflow_id].stays_on_microsoft_key is not False:
            yield unknown(
                "definition",
                f"The definition of {flow.display_name} cannot be read: {flow.problem}",
                "Open the flow in Power Automate and save it once; then assess again.",
                flow.workflow_id,
            )


def _list_call_loop_findings(
    flows: Mapping[str, FlowFacts], to_migrate: Collection[str]
) -> Iterator[Finding]:
    for cycle in _build_dependency_graph(flows).call_loops:
        if set(cycle).isdisjoint(to_migrate):
            continue
        names = ", ".join(_list_display_names(flows, cycle))
        yield problem(
            "flow_cycle",
            f"These flows run one another in a call loop: {names}.",
            "Remove one of the calls before you start a remediation.",
        )


def list_retired_url_findings(
    flows: Collection[AssessedFlow], places: Collection[str]
) -> Iterator[Finding]:
    """Yield findings about callers with a URL on a host that no longer serves flows."""
    code, since = "retired_url", f"{RETIRED_HOST} stopped serving flows on 2025-11-30"
    broken = {one.label for flow in flows for one in flow.callers if one.is_broken}
    others = set(places) - broken
    if broken:
        yield problem(
            code,
            (
                f"These calls fail today, with or without a key ({since}): "
                f"{', '.join(sorted(broken))}."
            ),
            (
                "Write the flow's current URL into each now, or let a remediation write the "
                "copy's URL."
            ),
        )
    if others:
        yield warning(
            code,
            f"These calls fail today if they call a flow ({since}). An Azure Logic App has the "
            f"same kind of URL, and still works: {', '.join(sorted(others))}.",
            "Check what each calls. If it is a flow, write the flow's current URL.",
        )


def _list_reconciliation_findings(
    facts: EnvironmentSnapshot, flows: Mapping[str, FlowFacts]
) -> Iterator[Finding]:
    code = "report_reconciled"
    if isinstance(facts.microsoft_key_lists, NoAnswer):
        yield unknown(
            code,
            f"The platform's list of flows that stay could not be read: "
            f"{facts.microsoft_key_lists.message}",
            "Until then, the findings follow Microsoft's documents alone. Assess again.",
        )
        return
    differences = list(facts.differences)
    if not facts.microsoft_key_lists.is_matched:
        differences.append("The list has flow ids that Dataverse does not have.")
    by_rule = _evaluate_flows_by_rule(flows, listed=())
    for flow in flows.values():
        answer, listed = by_rule[flow.workflow_id], _is_on_microsoft_key_list(facts, flow)
        if listed and answer.stays_on_microsoft_key is False:
            differences.append(
                f"The platform lists {flow.display_name} as a flow that stays, but its "
                "definition shows no reason."
            )
        if listed is False and answer.stays_on_microsoft_key and not _was_moved_to_key(facts, flow):
            differences.append(
                f"By Microsoft's documents {flow.display_name} stays "
                f"({answer.microsoft_key_reasons[0]}), but the platform does not list it."
            )
    for text in differences:
        yield warning(code, text, "Check the flow. The platform's list decides.")
    if not differences:
        yield passed(code, "The platform's list and Microsoft's documents name the same flows.")


def _evaluate_all_flows(
    facts: EnvironmentSnapshot, flows: Mapping[str, FlowFacts]
) -> dict[str, MicrosoftKeyEvaluation]:
    if isinstance(facts.microsoft_key_lists, NoAnswer):
        return _evaluate_flows_by_rule(flows, listed=())
    answers = _evaluate_flows_by_rule(flows, listed=facts.microsoft_key_lists.not_movable)
    for key in facts.microsoft_key_lists.on_microsoft_key - facts.microsoft_key_lists.not_movable:
        if key in flows and flows[key].summary is None:
            answers[key] = MicrosoftKeyEvaluation(
                stays_on_microsoft_key=False,
                microsoft_key_reasons=(),
                message=(
                    "The platform lists it as a flow that it moves to the key. The app did not "
                    "read its definition."
                ),
            )
    return answers


def _evaluate_flows_by_rule(
    flows: Mapping[str, FlowFacts], *, listed: Collection[str]
) -> dict[str, MicrosoftKeyEvaluation]:
    summaries = {key: flow.summary for key, flow in flows.items() if flow.summary}
    answers = evaluate_flows(
        summaries,
        in_solution={key: flow.in_solution for key, flow in flows.items()},
        listed=listed,
    )
    for key, flow in flows.items():
        if flow.summary is None:
            is_listed = key in listed
            answers[key] = MicrosoftKeyEvaluation(
                stays_on_microsoft_key=True if is_listed else None,
                microsoft_key_reasons=(MicrosoftKeyReason.UNKNOWN,),
                message=f"Its definition cannot be read: {flow.problem}",
            )
    return answers


def _build_dependency_graph(flows: Mapping[str, FlowFacts]) -> DependencyGraph:
    return DependencyGraph(
        {key: flow.summary.children if flow.summary else () for key, flow in flows.items()}
    )


def _is_on_microsoft_key_list(facts: EnvironmentSnapshot, flow: FlowFacts) -> bool | None:
    if isinstance(facts.microsoft_key_lists, NoAnswer):
        return None
    if flow.workflow_id in facts.microsoft_key_lists.not_movable:
        return True
    return False if facts.microsoft_key_lists.is_matched else None


def _was_moved_to_key(facts: EnvironmentSnapshot, flow: FlowFacts) -> bool:
    """Return whether the platform is known to have moved the flow to the key."""
    if isinstance(facts.microsoft_key_lists, NoAnswer) or not facts.environment.is_linked:
        return False
    return (
        facts.microsoft_key_lists.is_matched
        and flow.workflow_id not in facts.microsoft_key_lists.on_microsoft_key
    )


def _find_reason_paths(
    flow: FlowFacts, graph: DependencyGraph, answers: Mapping[str, MicrosoftKeyEvaluation]
) -> list[tuple[str, ...]]:
    """Return the shortest call path to each direct or indirect child that keeps the flow on
    Microsoft's key.

    A path does not contain the flow itself.
    """
    if (
        MicrosoftKeyReason.PARENT_OF_MICROSOFT_KEY_FLOW
        not in answers[flow.workflow_id].microsoft_key_reasons
    ):
        return []
    ways: deque[tuple[str, ...]] = deque([(flow.workflow_id,)])
    seen = {flow.workflow_id}
    last: list[tuple[str, ...]] = []
    on_the_way: list[tuple[str, ...]] = []
    missing: list[tuple[str, ...]] = []
    while ways:
        way = ways.popleft()
        reasons = set(answers[way[-1]].microsoft_key_reasons)
        if len(way) > 1 and reasons - {MicrosoftKeyReason.PARENT_OF_MICROSOFT_KEY_FLOW}:
            found = (
                on_the_way if MicrosoftKeyReason.PARENT_OF_MICROSOFT_KEY_FLOW in reasons else last
            )
            found.append(way[1:])
        missing += [(*way[1:], one) for one in sorted(graph.missing.get(way[-1], ()))]
        for child in sorted(graph.find_children(way[-1]) - seen):
            seen.add(child)
            ways.append((*way, child))
    return [*last, *on_the_way, *missing]


def _describe_run_only_users(category: TriggerCategory | None) -> str:
    if category is None or category is TriggerCategory.UNKNOWN or category.can_have_run_only_users:
        return _RUN_ONLY_UNKNOWN
    return _RUN_ONLY_UNLIKELY


def _list_display_names(flows: Mapping[str, FlowFacts], ids: Collection[str]) -> tuple[str, ...]:
    return tuple(
        flows[one].display_name if one in flows else (f"{one} (not in this environment)")
        for one in ids
    )
