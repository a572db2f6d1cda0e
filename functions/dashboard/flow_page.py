"""Build the page of a flow: its progress, what blocks it, what to do, and its history."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from functions.dashboard.display_state import get_display_state
from functions.dashboard.fix_links import find_fix_link
from functions.dashboard.flow_durations import list_step_durations, may_lack_oldest_history
from functions.dashboard.flow_path import build_flow_path, explain_why_original_is_on
from functions.dashboard.kill_switch import adapt_action_to_kill_switch, build_stop_banner
from functions.dashboard.page_actions import PageAction, list_flow_actions
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.callers.caller_records import CallerState
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.denying_firewalls import list_denying_firewalls
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.domain.plans.planned_changes import find_which_changes_were_made
from shared.domain.plans.remediation import FirewallIssueSummary
from shared.errors import CmkflowError
from shared.jobs.request_demands import estimate_flow_job_demand
from shared.use_cases.show_flow import CallerView, DefinitionComparison, FlowJobDetail, FlowView

#: Number of history entries that are not folded.
_NEWEST = 6
#: Look and text of each state of a caller.
_CALLER_STATES: Mapping[CallerState, tuple[str, str]] = {
    CallerState.FOUND: ("work", "calls the original"),
    CallerState.WRITING: ("work", "is being updated"),
    CallerState.UPDATED: ("done", "calls the copy"),
    CallerState.NOT_NEEDED: ("done", "no longer calls the original"),
    CallerState.MANUAL: ("person", "a person must change it"),
    CallerState.CHANGED: ("done", "no longer calls the original"),
    CallerState.REVERTED: ("over", "calls the original again"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerRow:
    """A caller of the original, as a row on the flow's page."""

    detail: CallerView
    look: str
    words: str
    #: Why only a person can change it, and how; empty: the app can, or nothing is to be changed.
    reason: str = ""


def build_flow_page(
    view: PageContext, detail: FlowJobDetail, compared: DefinitionComparison | CmkflowError | None
) -> str:
    """Return the page of one flow.

    `compared` contains the comparison of its definitions, or the reason why they cannot be read.
    """
    flow, job, item = detail.flow, detail.flow.job, detail.flow.item
    display = get_display_state(flow)
    actions = [
        adapt_action_to_kill_switch(one, view)
        for one in list_flow_actions(job, detail.dependent_flows, view.principal, view.now)
    ]
    records = [one.record for one in detail.callers]
    retry, firewalls = _find_retry_action(job, actions), _find_firewall_issues(flow)
    denying = list_denying_firewalls(job, flow.environment_job.firewall_issues)
    past = [one for one in firewalls if job and job.is_verified and one not in denying]
    made = find_which_changes_were_made(item, job, records) if item else ()
    return render_page(
        "flow",
        view,
        section="Remediations",
        detail=detail,
        flow=flow,
        display=display,
        calls=_estimate_request_count(job),
        retry=retry,
        actions=[one for one in actions if one is not retry],
        path=build_flow_path(job, is_stopped=display.look == "person"),
        kept_on=explain_why_original_is_on(job),
        fix=_format_fix(flow, denying),
        fix_link=find_fix_link(flow, f"/api/dashboard/remediations/{detail.remediation.id}"),
        linked_flows={*detail.parents, *(one.original.id for one in detail.dependent_flows)},
        firewalls=[one for one in firewalls if one not in past],
        past_firewalls=past,
        is_replaced=job is not None
        and job.state is FlowJobState.RETIRED
        and job.migration_method.has_copy,
        denying=denying,
        reasons=_format_plan_reason(item),
        planned=list(zip(item.planned_changes, made, strict=True)) if item else [],
        callers=[_build_caller_row(one, job) for one in detail.callers],
        observed=detail.observed_callers,
        pending=[one for one in records if one.is_pending],
        shared_with=_format_share_counts(job),
        durations=list_step_durations(job, view.now) if job else [],
        history=_build_history_with_durations(job),
        newest=_NEWEST,
        is_cut=job is not None and may_lack_oldest_history(job),
        comparison=compared if isinstance(compared, DefinitionComparison) else None,
        refusal=str(compared) if isinstance(compared, CmkflowError) else "",
        stopped=build_stop_banner(view),
    )


def _build_caller_row(one: CallerView, job: FlowJob | None) -> CallerRow:
    record, caller = one.record, one.record.caller
    look, words = _CALLER_STATES.get(record.state, ("over", str(record.state).replace("_", " ")))
    if job is None or (job.is_live and not job.is_rolling_back):
        return CallerRow(detail=one, look=look, words=words, reason=caller.manual_reason)
    if not record.is_manual:
        return CallerRow(detail=one, look=look, words=words)
    if job.is_withdrawn:
        return CallerRow(detail=one, look="over", words="only a person can change it")
    words = "a person must change it back, if it calls the copy"
    return CallerRow(detail=one, look="person", words=words, reason=caller.revert_reason)


def _find_retry_action(job: FlowJob | None, actions: Sequence[PageAction]) -> PageAction | None:
    if job is None or not job.needs_action:
        return None
    return next((one for one in actions if not one.is_danger), None)


def _format_fix(flow: FlowView, denying: Sequence[FirewallIssueSummary]) -> str:
    if denying:
        return "Fix each firewall below or ignore it, then retry."
    if flow.job:
        return flow.job.fix
    return flow.item.fix if flow.item else ""


def _format_plan_reason(item: PlanItem | None) -> str:
    if item is None or item.action is not PlannedAction.CONTINUE_EXISTING_JOB:
        return item.message if item else ""
    known = {str(reason): reason.category.text for reason in MicrosoftKeyReason}
    return " ".join(known[one] for one in item.microsoft_key_reasons if one in known)


def _estimate_request_count(job: FlowJob | None) -> int:
    need = estimate_flow_job_demand(job) if job else None
    return need.requests if need else 0


def _find_firewall_issues(flow: FlowView) -> list[FirewallIssueSummary]:
    issues = flow.environment_job.firewall_issues
    denying = list_denying_firewalls(flow.job, issues)
    return [one for one in issues if one in denying or flow.workflow_id in one.workflow_ids]


def _format_share_counts(job: FlowJob | None) -> str:
    kinds = Counter(label.partition(" ")[0] for label in job.copy.shared_with) if job else Counter()
    return ", ".join(
        f"{number} {kind if number == 1 else kind + 's'}" for kind, number in sorted(kinds.items())
    )


def _build_history_with_durations(
    job: FlowJob | None,
) -> list[tuple[HistoryEntry, timedelta | None]]:
    entries = job.history if job else ()
    lasted = [after.changed_at - before.changed_at for before, after in pairwise(entries)]
    shown = [one if one >= timedelta(seconds=1) else None for one in lasted]
    return list(zip(entries, [*shown, None], strict=False))[::-1]
