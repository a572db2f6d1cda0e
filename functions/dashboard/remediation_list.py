"""Build the Remediations page: a list of remediations, newest first."""

from dataclasses import dataclass
from datetime import datetime

from functions.dashboard.environment_rows import count_flows_by_css_class, describe_not_migrated
from functions.dashboard.flow_parts import PARTS
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.remediation_states import REMEDIATION_STATES, RemediationState
from shared.domain.plans.display_text import count_undecided_flows, describe_start
from shared.domain.plans.pending_actions import format_count
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.remediation import Remediation, RemediationMode
from shared.use_cases.show_remediation import RemediationView, RemediationViewList

_KINDS = {
    RemediationMode.ASSESS: "Report",
    RemediationMode.DRY_RUN: "Dry run",
    RemediationMode.PREPARE: "Preparation for a key",
    RemediationMode.APPLY: "Remediation",
}
#: Number of environments that a line names.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationRow:
    """A remediation, as a row of the Remediations page."""

    id: str
    created_at: datetime
    kind: str
    started: str
    environments: str
    look: str
    shape: str
    state: str
    #: Looks and numbers of flows, for a bar.
    parts: tuple[tuple[str, int], ...]
    migrated_count: int
    next: str

    @property
    def flow_count(self) -> int:
        return sum(number for _, number in self.parts)


def build_remediations_page(view: PageContext, found: RemediationViewList, limit: int) -> str:
    """Return a page of at most `limit` remediations, newest first."""
    rows = [_build_remediation_row(one, view.now) for one in found.items]
    return render_page(
        "remediations", view, section="Remediations", found=found, rows=rows, limit=limit
    )


def _build_remediation_row(one: RemediationView, now: datetime) -> RemediationRow:
    remediation = one.remediation
    look, shape, state = _describe_remediation_state(one)
    flows = one.progress.flow_states
    migrated = flows.get(FlowJobState.RETIRED, 0)
    prepared = flows.get(FlowJobState.PREPARED, 0)
    return RemediationRow(
        id=remediation.id,
        created_at=remediation.created_at,
        kind="Assessment" if remediation.assessment else _KINDS[remediation.mode],
        started=format_start_source(remediation),
        environments=_format_environments(one),
        look=look,
        shape=shape,
        state=state,
        parts=count_flows_by_css_class(migrated, prepared, one.progress.not_migrated),
        migrated_count=migrated,
        next=_describe_remaining_work(one, now),
    )


def format_start_source(one: Remediation) -> str:
    """Return who or what started a remediation, such as `by the daily check`."""
    return f"by {describe_start(one.start_source, one.started_by)}"


def _format_environments(one: RemediationView) -> str:
    names = {job.environment_id: job.environment_name for job in one.environment_jobs}
    every = [names.get(identity) or identity for identity in one.remediation.environment_ids]
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def _describe_remediation_state(one: RemediationView) -> tuple[str, str, str]:
    progress = one.progress
    if progress.both_off_count:
        return "person", "", "Original and copy both off"
    if progress.action_required_count:
        return "person", "", "Blocked"
    state = progress.state
    words = str(state).replace("_", " ").capitalize()
    if state is RemediationState.AWAITING_APPROVAL:
        return "wait", "plan", words
    if not REMEDIATION_STATES[state].is_over:
        return "work", "", words
    if state is RemediationState.COMPLETED and one.remediation.mode.writes:
        left = count_undecided_flows(progress.not_migrated)
        return ("wait", "", f"{words}, {left} left") if left else ("done", "", words)
    return "over", "", words


def _describe_remaining_work(one: RemediationView, now: datetime) -> str:
    at = one.progress.next_check_at
    said = describe_not_migrated(one.progress.not_migrated, next_check_in=at - now if at else None)
    if said:
        return ", ".join(said)
    if one.remediation.assessment or not one.remediation.mode.writes:
        return "Changes nothing"
    continued = sum(
        (job.planned_action_counts or {}).get(PlannedAction.CONTINUE_EXISTING_JOB, 0)
        for job in one.environment_jobs
    )
    if continued:
        belong = PARTS["other_remediation"].format_verb_phrase(continued)
        return f"{format_count(continued, 'flow')} {belong}"
    if one.progress.state is RemediationState.CANCELLED:
        return "Cancelled before its flows were known"
    is_over = one.progress.state is RemediationState.COMPLETED
    return "No flow is left to migrate" if is_over else "The flows are not known yet"
