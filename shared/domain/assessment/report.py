"""Build the assessment of one environment from the facts that were read."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain.assessment.assessment import (
    AssessedCaller,
    AssessedFlow,
    AssessmentSection,
    AssessmentTopic,
    EnvironmentAssessment,
)
from shared.domain.assessment.environment_findings import (
    list_canvas_app_findings,
    list_eligibility_findings,
    list_environment_key_findings,
    list_network_findings,
    list_solution_findings,
)
from shared.domain.assessment.estimate import ProcessingRates, estimate_effort
from shared.domain.assessment.flows import find_phase, list_flow_findings, list_retired_url_findings
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.assessment.uncovered_features import (
    list_analytics_findings,
    list_connection_findings,
    list_copilot_findings,
    list_hosted_machine_findings,
    list_portal_warning_findings,
    list_run_history_findings,
)
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.finding import Finding
from shared.domain.power_apps import CanvasApp


def build_assessment(
    facts: EnvironmentSnapshot,
    flows: Sequence[AssessedFlow],
    rates: ProcessingRates,
    *,
    on_retired_host: Sequence[str] = (),
) -> EnvironmentAssessment:
    """Return the assessment of an environment.

    `flows` are those that stay or may stay, with their callers. `on_retired_host` are labels of
    callers with a URL on a host that no longer serves flows.
    """
    topics: dict[AssessmentTopic, Iterable[Finding]] = {
        AssessmentTopic.ELIGIBILITY: list_eligibility_findings(facts),
        AssessmentTopic.KEY: list_environment_key_findings(facts),
        AssessmentTopic.FLOWS: [
            *list_flow_findings(facts, flows),
            *list_retired_url_findings(flows, on_retired_host),
        ],
        AssessmentTopic.NETWORK: list_network_findings(facts),
        AssessmentTopic.CANVAS_APPS: list_canvas_app_findings(facts, flows),
        AssessmentTopic.SOLUTIONS: list_solution_findings(facts),
        AssessmentTopic.CONNECTIONS: list_connection_findings(facts),
        AssessmentTopic.COPILOT: list_copilot_findings(facts),
        AssessmentTopic.HOSTED_MACHINES: list_hosted_machine_findings(facts),
        AssessmentTopic.ANALYTICS: list_analytics_findings(),
        AssessmentTopic.RUN_HISTORY: list_run_history_findings(facts),
        AssessmentTopic.PORTAL_WARNING: list_portal_warning_findings(facts, flows),
    }
    return EnvironmentAssessment(
        environment_id=facts.environment.id,
        display_name=facts.environment.display_name,
        assessed_at=facts.read_at,
        phase=find_phase(facts),
        flow_count=None if isinstance(facts.flows, NoAnswer) else len(facts.flows),
        flows=tuple(flows),
        sections=tuple(
            AssessmentSection(topic=topic, findings=tuple(findings))
            for topic, findings in topics.items()
        ),
        estimate=estimate_effort(flows, rates, has_read_all=facts.has_all_flows),
    )


_APPS = (
    "Only the app's maker can change it: the platform has no API that makes an app call another "
    "flow."
)
_RUN_BY_APPS = frozenset({TriggerCategory.POWER_APPS_V1, TriggerCategory.POWER_APPS_V2})


def add_canvas_app_callers(
    flows: Sequence[AssessedFlow], apps: Sequence[CanvasApp] | NoAnswer
) -> list[AssessedFlow]:
    """Add to each flow the canvas apps that call it, as callers.

    If the apps could not be read, the flows that apps can start get the reason.
    """
    if isinstance(apps, NoAnswer):
        why = f"The apps that call it could not be read: {apps.message}."
        return [
            replace(flow, callers_unknown_reason=f"{flow.callers_unknown_reason} {why}".strip())
            if flow.category in _RUN_BY_APPS
            else flow
            for flow in flows
        ]
    return [
        replace(
            flow,
            callers=(
                *flow.callers,
                *(
                    AssessedCaller(
                        kind="canvas_app", label=f"app {one.display_name}", manual_reason=_APPS
                    )
                    for one in apps
                    if one.flow_ids & {flow.workflow_id, flow.flow_name}
                ),
            ),
        )
        for flow in flows
    ]
