"""Add to assessed flows what a remediation has already done with them."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from shared.domain.assessment.assessment import AssessedFlow, RemediationStatus
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.finding import Finding, passed, problem, unknown
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState


def with_remediation_status(
    facts: EnvironmentSnapshot,
    flow: AssessedFlow,
    job: FlowJob | None,
    *,
    is_deletion_scheduled: bool = False,
) -> AssessedFlow:
    """Return the flow with the status of its flow job, and with what to do next.

    A retired original needs an action if it is on or its copy does not work.
    """
    if job is None:
        return replace(flow, remediation_status=RemediationStatus.NOT_STARTED)
    if job.allows_new_job:
        advice = flow.recommendations
        if job.is_withdrawn:
            text = (
                f"Its flow job was {job.state.replace('_', ' ')}. To migrate it, name the flow in "
                "a new remediation: `cmkflow remediation start ENVIRONMENT --mode apply --flow ID`."
            )
            advice = (text, *advice)
        return replace(
            flow, remediation_status=RemediationStatus.NOT_STARTED, recommendations=advice
        )
    status = RemediationStatus.IN_PROGRESS
    texts = [f"A flow job is in progress: `cmkflow remediation show {job.remediation_id}`."]
    if job.needs_action:
        status = RemediationStatus.ACTION_REQUIRED
        texts = [f"Its flow job needs an action: `cmkflow remediation show {job.remediation_id}`."]
    elif job.state is FlowJobState.RETIRED:
        texts = [*_list_faults_of_retired_flow(facts, flow, job)]
        status = RemediationStatus.ACTION_REQUIRED
        if not texts:
            status, text = _describe_retired_flow(job, is_deletion_scheduled=is_deletion_scheduled)
            texts = [text]
    return replace(
        flow,
        remediation_status=status,
        remediation_id=job.remediation_id,
        recommendations=tuple(texts),
    )


def _describe_retired_flow(
    job: FlowJob, *, is_deletion_scheduled: bool
) -> tuple[RemediationStatus, str]:
    if is_deletion_scheduled:
        text = f"Deletion is scheduled: `cmkflow deletion list {job.remediation_id}`."
        return RemediationStatus.DELETION_SCHEDULED, text
    return RemediationStatus.RETIRED, (
        "A retired original remains until you delete it: "
        f"`cmkflow deletion schedule {job.remediation_id} --date DATE`."
    )


def _list_faults_of_retired_flow(
    facts: EnvironmentSnapshot, flow: AssessedFlow, job: FlowJob
) -> Iterator[str]:
    if flow.is_on:
        yield "The retired original is on again. Turn it off: its copy has replaced it."
    known = {} if isinstance(facts.flows, NoAnswer) else facts.flows
    copy = known.get(job.copy.id.lower())
    if copy is None:
        yield (
            "Its copy was not found. If it was deleted, roll back: "
            f"`cmkflow rollback {job.remediation_id} --flow {flow.workflow_id}`."
        )
    elif not copy.is_on and job.migration_method is not MigrationMethod.COPY_OFF:
        yield f"Its copy {copy.display_name} is off. Turn it on in Power Automate."


def list_remediation_findings(flows: Collection[AssessedFlow], total: str) -> Iterator[Finding]:
    """Yield findings about what remediations have done with the flows."""
    code, count = "flows_in_remediation", Counter(flow.remediation_status for flow in flows)
    if retired := sum(flow.remediation_status.is_retired for flow in flows):
        are = "is a retired original" if retired == 1 else "are retired originals"
        work = "its copy works" if retired == 1 else "their copies work"
        yield passed(code, f"{retired} {total} {are} on Microsoft's key; {work}.")
    if number := count[RemediationStatus.IN_PROGRESS]:
        are = "is" if number == 1 else "are"
        yield passed(code, f"{number} {total} {are} in progress in a remediation.")
    if number := count[RemediationStatus.ACTION_REQUIRED]:
        need = "needs" if number == 1 else "need"
        text = f"{number} {total} {need} an action in a remediation."
        yield problem(code, text, "The list of flows says what to do with each.")
    for flow in flows:
        if flow.remediation_status is RemediationStatus.UNKNOWN:
            yield unknown(
                code,
                f"Whether a remediation has migrated {flow.display_name} is unknown: its flow job "
                "cannot be read.",
                "Correct the row that `cmkflow status` names, then assess again.",
                flow.workflow_id,
            )
