"""List the decisions of a remediation for its evidence: who decided what, and when."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from functions.evidence_models import RemediationEvidence
from shared.domain.audit import AuditEntry
from shared.domain.audit_text import describe_operation, parse_state
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.display_text import describe_start
from shared.domain.plans.pending_actions import format_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person or the app decided about a remediation, and when."""

    decided_at: datetime
    who: str
    what: str


def build_decision(entry: AuditEntry) -> Decision:
    what = _describe_audit_entry(entry)
    what += "" if entry.status else " (its result is not recorded)"
    who = entry.who or "an unnamed function key"
    return Decision(decided_at=entry.recorded_at, who=who, what=what)


def list_decisions(about: RemediationEvidence) -> Iterator[Decision]:
    """Yield the decisions that the rows of a remediation and its jobs show."""
    remediation = about.remediation
    yield Decision(
        decided_at=remediation.created_at,
        who=describe_start(remediation.start_source, remediation.started_by),
        what=f"Started the remediation ({remediation.mode.replace('_', ' ')})",
    )
    for job in about.environment_jobs:
        name = job.environment_name or job.environment_id
        for one in job.approved_plans:
            but = len(one.excluded_from_approval)
            what = f"Approved version {one.version} for {name}"
            what += f", excluding {format_count(but, 'flow')}" if but else ""
            yield Decision(decided_at=one.approved_at, who=one.approved_by, what=what)
        if job.history and job.state is EnvironmentJobState.CANCELLED:
            last = job.history[-1]
            what = f"{name}: cancelled. {last.message}".strip()
            yield Decision(decided_at=last.changed_at, who="the app", what=what)


def _describe_audit_entry(entry: AuditEntry) -> str:
    what, body = describe_operation(entry.operation, entry.status), parse_state(entry.request_body)
    subject = body.get("issue") or body.get("resource")
    return f"{what}: {str(subject).rpartition('/')[2]}" if subject else what
