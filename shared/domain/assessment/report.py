"""Puts the assessment of one environment together from what was found."""

from collections.abc import Iterable, Sequence

from shared.domain.assessment.assessment import AssessedFlow, EnvironmentAssessment, Section, Topic
from shared.domain.assessment.environment_findings import (
    canvas_app_findings,
    eligibility_findings,
    key_findings,
    network_findings,
    solution_findings,
)
from shared.domain.assessment.estimate import Rates, effort_of
from shared.domain.assessment.flows import flow_findings, phase_of, retired_url_findings
from shared.domain.assessment.snapshots import EnvironmentFacts, NoAnswer
from shared.domain.assessment.uncovered_features import (
    analytics_findings,
    connection_findings,
    copilot_findings,
    finish_line_findings,
    hosted_machine_findings,
    run_history_findings,
)
from shared.domain.finding import Finding


def assessment_of(
    facts: EnvironmentFacts,
    flows: Sequence[AssessedFlow],
    rates: Rates,
    *,
    on_retired_host: Sequence[str] = (),
) -> EnvironmentAssessment:
    """Return the assessment; `flows` are those that stay or may, with their callers.

    `on_retired_host`: labels of places with a URL where flows do not answer any more.
    """
    topics: dict[Topic, Iterable[Finding]] = {
        Topic.ELIGIBILITY: eligibility_findings(facts),
        Topic.KEY: key_findings(facts),
        Topic.FLOWS: [
            *flow_findings(facts, flows),
            *retired_url_findings(flows, on_retired_host),
        ],
        Topic.NETWORK: network_findings(facts),
        Topic.CANVAS_APPS: canvas_app_findings(facts, flows),
        Topic.SOLUTIONS: solution_findings(facts),
        Topic.CONNECTIONS: connection_findings(facts),
        Topic.COPILOT: copilot_findings(facts),
        Topic.HOSTED_MACHINES: hosted_machine_findings(facts),
        Topic.ANALYTICS: analytics_findings(),
        Topic.RUN_HISTORY: run_history_findings(facts),
        Topic.FINISH_LINE: finish_line_findings(facts, flows),
    }
    return EnvironmentAssessment(
        environment_id=facts.environment.id,
        display_name=facts.environment.display_name,
        at=facts.at,
        phase=phase_of(facts),
        flow_count=None if isinstance(facts.flows, NoAnswer) else len(facts.flows),
        flows=tuple(flows),
        sections=tuple(
            Section(topic=topic, findings=tuple(findings)) for topic, findings in topics.items()
        ),
        effort=effort_of(flows, rates, has_read_all=facts.has_all_flows),
    )
