"""Collect the content of the report that an evidence file contains.

The report keeps one short row for each flow, because a remediation may have thousands of flows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.dashboard.titles import find_repeated_titles
from functions.evidence_decisions import Decision, build_decision, list_decisions
from functions.evidence_models import RemediationEvidence
from shared.domain.audit import AuditEntry
from shared.domain.callers.caller_records import CallerState
from shared.domain.callers.observed_caller import NamedCaller
from shared.domain.jobs.change_records import ChangeKind, ChangeRecord
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.run_archive import parse_runs_from_json_lines
from shared.domain.plans.display_text import describe_why_not_migrated
from shared.domain.plans.not_migrated import find_reason_for_item, find_reason_for_job
from shared.domain.plans.plan_item import NotMigratedReason, PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.reason import Reason
from shared.use_cases.collect_evidence import FlowEvidence

#: Requests whose effect the report shows from another record.
_SHOWN_ELSEWHERE = {"start_remediation", "approve_remediation"}
#: Tables of more flows are folded, so that the file opens fast.
_MOST_UNFOLDED = 100
_REASONS = {reason.value: reason for reason in Reason}
_REVERTED = {ChangeKind.COPY_CREATED: "kept, off", ChangeKind.CONVERTED: "reverted"}


@dataclass(slots=True, kw_only=True)
class FlowLine:
    """A flow of the remediation, as a row of the report's tables."""

    environment_id: str
    workflow_id: str
    title: str
    #: Why it is not migrated; None: it is, or was prepared for the key.
    left: NotMigratedReason | None
    #: The row's own reason, in words and as a code.
    message: str = ""
    code: str = ""
    state: str = ""
    verified_at: datetime | None = None
    updated_callers: int = 0
    #: Callers that a person changed.
    changed_callers: int = 0
    pending_callers: int = 0
    #: The last recorded write that turned the original on or off: the state, and when.
    original_state: str = ""
    original_state_at: datetime | None = None
    deleted_at: datetime | None = None
    #: When all known callers named the copy, or it was cut over.
    observation_started_at: datetime | None = None
    #: Runs of the original in this file, before and after that time.
    runs_before: int = 0
    runs_after: int = 0
    last_run_at: datetime | None = None
    has_runs: bool = False
    #: Who called the original after that time, as its runs show it.
    observed_callers: tuple[NamedCaller, ...] = ()


@dataclass(slots=True, kw_only=True)
class LeftGroup:
    """Flows that are not migrated for the same reason, as a row of the report."""

    left: NotMigratedReason
    message: str
    flows: list[FlowLine] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Return the reason in words that follow the number of the flows."""
        return describe_why_not_migrated(self.left, len(self.flows))[0]


@dataclass(slots=True, kw_only=True)
class ResultGroup:
    """Flows with the same result, such as `Migrated`."""

    title: str
    flows: list[FlowLine] = field(default_factory=list)


@dataclass(slots=True)
class EvidenceReport:
    """Collects what the report shows from plans, flows, run archives and the audit log."""

    flows: dict[tuple[str, str], FlowLine] = field(default_factory=dict)
    #: Number of changes, and of those that were reverted, by their name in the report.
    made: Counter[str] = field(default_factory=Counter)
    reverted: Counter[str] = field(default_factory=Counter)
    decisions: list[Decision] = field(default_factory=list)
    rejected: int = 0
    #: When a flow changed last.
    changed_at: datetime | None = None
    _answered: set[str] = field(default_factory=set)

    def collect_plan_item(self, job: EnvironmentJob, item: PlanItem) -> None:
        """Add a flow of a plan, unless an earlier remediation migrated it.

        `collect_flow` replaces it if it has a job.
        """
        left, message = find_reason_for_item(job.mode, item), item.message
        if left is None:
            if item.is_retired:
                return  # migrated by an earlier remediation
            left, message = _explain_missing_job(job, item)
        self.flows[job.environment_id, item.workflow_id] = FlowLine(
            environment_id=job.environment_id,
            workflow_id=item.workflow_id,
            title=item.display_name,
            left=left,
            message=message,
        )

    def collect_flow(self, flow: FlowEvidence) -> None:
        job, verified = flow.job, flow.verification
        switch = _find_last_toggle(job.display_name, flow.changes)
        self.flows[job.environment_id, job.original.id] = FlowLine(
            environment_id=job.environment_id,
            workflow_id=job.original.id,
            title=job.display_name,
            left=find_reason_for_job(job),
            message=job.message,
            code=job.reason_code,
            state=str(job.state),
            verified_at=verified.changed_at if verified else None,
            updated_callers=sum(one.state is CallerState.UPDATED for one in flow.callers),
            changed_callers=sum(one.state is CallerState.CHANGED for one in flow.callers),
            pending_callers=len(flow.pending_callers),
            original_state=switch.id_after if switch else "",
            original_state_at=switch.changed_at if switch else None,
            deleted_at=flow.deletion.deleted_at if flow.deletion else None,
            observation_started_at=job.observation.started_at,
            observed_callers=flow.observed_callers.callers if flow.observed_callers else (),
        )
        times = [one.changed_at for one in job.history]
        for change in flow.changes:
            self._count_change(job.display_name, change)
            times += [change.changed_at] if change.changed_at else []
        self.changed_at = max([*times, *filter(None, [self.changed_at])], default=None)

    def count_archived_runs(self, environment_id: str, workflow_id: str, part: bytes) -> None:
        """Count archived runs of an original, before and after its observation started."""
        line = self.flows[environment_id, workflow_id]
        line.has_runs = True
        for run in parse_runs_from_json_lines(part):
            if (start := line.observation_started_at) and run.started_at >= start:
                line.runs_after += 1
            else:
                line.runs_before += 1
            line.last_run_at = max(run.started_at, line.last_run_at or run.started_at)

    def collect_audit_entry(self, entry: AuditEntry) -> None:
        """Add an entry of the audit log as a decision, or count it if the request was rejected.

        The entry with the result of a request has to be added before the entry without a result.
        """
        if entry.status is None and entry.id in self._answered:
            return
        self._answered.add(entry.id)
        if entry.is_rejection or (entry.status or 0) >= 400:
            self.rejected += 1
        elif entry.operation not in _SHOWN_ELSEWHERE:
            self.decisions.append(build_decision(entry))

    def build_template_values(self, about: RemediationEvidence) -> dict[str, Any]:
        """Return the values of the report's template."""
        lines = sorted(self.flows.values(), key=lambda one: (one.title.lower(), one.workflow_id))
        left = Counter(one.left for one in lines)
        decisions = sorted(
            [*self.decisions, *list_decisions(about)], key=lambda one: one.decided_at
        )
        return {
            "flows": lines,
            "migrated": left[None],
            "left": {why: left[why] for why in NotMigratedReason if left[why]},
            "groups": _group_remaining_flows(lines),
            "left_words": describe_why_not_migrated,
            "decisions": decisions,
            "rejected": self.rejected,
            "changes": self._list_change_counts(about),
            "results": _group_by_result(lines),
            "equal_titles": find_repeated_titles(one.title for one in lines),
            "most_unfolded": _MOST_UNFOLDED,
            "with_runs": [one for one in lines if one.has_runs],
            "called": [one for one in lines if one.observed_callers],
            "until": max(filter(None, [*_list_evidence_times(about, decisions), self.changed_at])),
        }

    def _count_change(self, title: str, change: ChangeRecord) -> None:
        match change.kind:
            case ChangeKind.CALLER_REVERTED:
                self.reverted["Callers updated by the app"] += 1
            case ChangeKind.CALLER_UPDATED:
                self.made["Callers updated by the app"] += 1
            case ChangeKind.TURNED_ON_OR_OFF:
                whose = "Originals" if change.location == title else "Copies"
                self.made[f"{whose} now turned {change.id_after}"] += 1
            case kind:
                name = _NAMES[kind]
                self.made[name] += 1
                self.reverted[name] += change.state == _REVERTED.get(kind)

    def _list_change_counts(self, about: RemediationEvidence) -> list[tuple[str, int, int | None]]:
        fixes = Counter(str(one.state) for one in about.firewall_fixes)
        made = Counter(self.made)
        made["Firewalls changed by the app"] = fixes.total()
        reverted = Counter(self.reverted)
        reverted["Firewalls changed by the app"] = fixes["reverted"]
        return [
            (name, made[name], None if " now " in name else reverted[name])
            for name in _ORDER
            if made[name] or name in _ALWAYS_SHOWN
        ]


_NAMES = {
    ChangeKind.COPY_CREATED: "Copies created",
    ChangeKind.CONVERTED: "Definitions changed to V2",
    ChangeKind.ADDED_TO_SOLUTION: "Flows added to a solution",
    ChangeKind.ORIGINAL_DELETED: "Originals deleted",
}
_ORDER = (
    "Copies created",
    "Definitions changed to V2",
    "Flows added to a solution",
    "Callers updated by the app",
    "Copies now turned on",
    "Copies now turned off",
    "Originals now turned off",
    "Originals now turned on",
    "Firewalls changed by the app",
    "Originals deleted",
)
#: Changes that an auditor asks about, also if there was none.
_ALWAYS_SHOWN = {
    "Copies created",
    "Callers updated by the app",
    "Firewalls changed by the app",
    _ORDER[-1],
}


def _explain_missing_job(job: EnvironmentJob, item: PlanItem) -> tuple[NotMigratedReason, str]:
    match job.state:
        case EnvironmentJobState.CANCELLED:
            text = "The plan was cancelled or expired before the flow's job started."
            return NotMigratedReason.CANCELLED, text
        case EnvironmentJobState.COMPLETED:
            text = "This remediation has no job for it: another remediation continues it."
            return NotMigratedReason.IN_PROGRESS, text
    if item.awaits_approval:
        return NotMigratedReason.AWAITING_APPROVAL, "An approver has not approved it yet."
    return NotMigratedReason.IN_PROGRESS, "Its job has not started yet."


def _find_last_toggle(title: str, changes: Iterable[ChangeRecord]) -> ChangeRecord | None:
    found = [
        one for one in changes if one.kind is ChangeKind.TURNED_ON_OR_OFF and one.location == title
    ]
    return found[-1] if found else None


def _group_remaining_flows(lines: Iterable[FlowLine]) -> list[LeftGroup]:
    found: dict[tuple[NotMigratedReason, str], LeftGroup] = {}
    for line in lines:
        if line.left is None:
            continue
        if line.left is NotMigratedReason.DRY_RUN:
            line.message = ""  # it says why the flow is on Microsoft's key
        key = (line.left, line.code or line.message)
        group = found.setdefault(key, LeftGroup(left=line.left, message=line.message))
        if group.message != line.message and line.code in _REASONS:
            group.message = _REASONS[line.code].meaning
        group.flows.append(line)
    order = list(NotMigratedReason)
    return sorted(found.values(), key=lambda one: (order.index(one.left), -len(one.flows)))


def _group_by_result(lines: Iterable[FlowLine]) -> list[ResultGroup]:
    found: dict[tuple[int, str], ResultGroup] = {}
    order = [None, *NotMigratedReason]
    for line in lines:
        title = "Prepared" if line.state == FlowJobState.PREPARED else "Migrated"
        if line.left is not None:
            title = describe_why_not_migrated(line.left, 1)[0].capitalize()
        key = (order.index(line.left), title)
        found.setdefault(key, ResultGroup(title=title)).flows.append(line)
    return [found[key] for key in sorted(found)]


def _list_evidence_times(
    about: RemediationEvidence, decisions: Iterable[Decision]
) -> Iterator[datetime]:
    yield about.remediation.created_at
    yield from (one.decided_at for one in decisions)
    for job in about.environment_jobs:
        if job.history:
            yield job.history[-1].changed_at
