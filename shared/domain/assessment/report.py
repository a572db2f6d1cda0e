"""Build the assessment of one environment from the facts that were read."""

from collections.abc import Iterable, Sequence

from shared.domain.assessment.assessment import (
    AssessedFlow,
    AssessmentSection,
    AssessmentTopic,
    EnvironmentAssessment,
)
from shared.domain.assessment.environment_findings import (
    canvas_app_findings,
    eligibility_findings,
    environment_key_findings,
    network_findings,
    solution_findings,
)
from shared.domain.assessment.estimate import ProcessingRates, estimate_effort
from shared.domain.assessment.flows import flow_findings, phase_for, retired_url_findings
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.assessment.uncovered_features import (
    analytics_findings,
    connection_findings,
    copilot_findings,
    finish_line_findings,
    hosted_machine_findings,
    run_history_findings,
)
from shared.domain.finding import Finding


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
        AssessmentTopic.ELIGIBILITY: eligibility_findings(facts),
        AssessmentTopic.KEY: environment_key_findings(facts),
        AssessmentTopic.FLOWS: [
            *flow_findings(facts, flows),
            *retired_url_findings(flows, on_retired_host),
        ],
        AssessmentTopic.NETWORK: network_findings(facts),
        AssessmentTopic.CANVAS_APPS: canvas_app_findings(facts, flows),
        AssessmentTopic.SOLUTIONS: solution_findings(facts),
        AssessmentTopic.CONNECTIONS: connection_findings(facts),
        AssessmentTopic.COPILOT: copilot_findings(facts),
        AssessmentTopic.HOSTED_MACHINES: hosted_machine_findings(facts),
        AssessmentTopic.ANALYTICS: analytics_findings(),
        AssessmentTopic.RUN_HISTORY: run_history_findings(facts),
        AssessmentTopic.PORTAL_WARNING: finish_line_findings(facts, flows),
    }
    return EnvironmentAssessment(
        environment_id=facts.environment.id,
        display_name=facts.environment.display_name,
        assessed_at=facts.read_at,
        phase=phase_for(facts),
        flow_count=None if isinstance(facts.flows, NoAnswer) else len(facts.flows),
        flows=tuple(flows),
        sections=tuple(
            AssessmentSection(topic=topic, findings=tuple(findings))
            for topic, findings in topics.items()
        ),
        estimate=estimate_effort(flows, rates, has_read_all=facts.has_all_flows),
    )
