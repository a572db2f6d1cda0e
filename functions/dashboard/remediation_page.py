"""Build the page of a remediation: its progress, what blocks it, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from functions.dashboard.cause_actions import build_cause_retry_action
from functions.dashboard.causes import find_causes, get_cause_title
from functions.dashboard.diagrams import DiagramFilter, build_dependency_group_values
from functions.dashboard.display_state import get_display_state
from functions.dashboard.firewall_issues import list_firewall_issues
from functions.dashboard.flow_lines import ALL, FlowFilter, build_line_context
from functions.dashboard.flow_lists import ClosedFlows, FlowLists, sort_flows_by_part
from functions.dashboard.flow_parts import PARTS, FlowPart
from functions.dashboard.kill_switch import adapt_action_to_kill_switch, build_stop_banner
from functions.dashboard.owner_lists import (
    count_absent_owners,
    get_owner_name,
    suggest_owners,
)
from functions.dashboard.page_actions import (
    PageAction,
    build_firewall_fix_action,
    list_remediation_actions,
)
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.remediation_history import (
    ENTRIES_ON_PAGE,
    FILTERS,
    HistoryFilter,
    select_history_page,
)
from functions.dashboard.remediation_list import format_start_source
from functions.dashboard.remediation_summary import (
    format_state_chip,
    is_dry_run,
    summarize_remediation,
)
from shared.domain.jobs.durable_job import HISTORY_LENGTH
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import CmkflowError
from shared.use_cases.manage_firewall_fixes import FirewallFixView
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView

#: Parts whose flows the app changes or copies on behalf of their owners.
_NEEDING_OWNER = frozenset({"awaiting", "planned", "in_progress"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationPageChoice:
    """Which flows, history entries and diagrams the page of a remediation shows."""

    flows: FlowFilter = field(default_factory=FlowFilter)
    #: Number of matching flows before this page.
    start: int = 0
    history: HistoryFilter = field(default_factory=HistoryFilter)
    diagrams: DiagramFilter = field(default_factory=DiagramFilter)

    @property
    def is_list(self) -> bool:
        """Return whether the page shows one list of flows instead of a list for each part."""
        return self.flows.is_set or self.start > 0


def build_remediation_page(
    view: PageContext,
    shown: RemediationView,
    flows: Sequence[FlowView],
    choice: RemediationPageChoice,
    proposed_fixes: Sequence[FirewallFixView] | CmkflowError = (),
    *,
    others: ClosedFlows | None = None,
) -> str:
    """Return the page of one remediation.

    `proposed_fixes` contains the proposed firewall fixes, or the error that occurred when they were
    read. `others` contains closed flows, which come after `flows`. It is None if `flows` contains
    all flows.
    """
    names = {job.environment_id: _get_environment_name(job) for job in shown.environment_jobs}
    here = f"/api/dashboard/remediations/{shown.remediation.id}"
    lists = FlowLists(
        view=view,
        shown=shown,
        here=here,
        context=build_line_context(view.now, names, [*flows, *(others.on_page if others else ())]),
        flows=sort_flows_by_part(flows),
        closed=others or ClosedFlows(),
    )
    counts, causes = lists.counts, find_causes(lists.flows, shown.environment_jobs)
    loaded = [flow for flow, _ in lists.loaded_flows_with_parts]
    known = replace(shown, flow_jobs=tuple(flow.job for flow in loaded if flow.job))
    actions = [
        adapt_action_to_kill_switch(one, view)
        for one in list_remediation_actions(
            shown, view.principal, view.now, is_whole=others is None
        )
    ]
    issues, past_issue_count = list_firewall_issues(
        shown.environment_jobs,
        known.flow_jobs,
        {flow.workflow_id: flow.title for flow in loaded},
        view.principal,
    )
    return render_page(
        "remediation",
        view,
        section="Remediations",
        shown=shown,
        names=names,
        here=here,
        chip=format_state_chip(shown),
        is_dry_run=is_dry_run(shown),
        sentences=summarize_remediation(shown, lists.flows, counts),
        approved_by=sorted({job.approved_by for job in shown.environment_jobs if job.approved_by}),
        parts=[
            (part.look, counts[key], part.format_verb_phrase(counts[key]),
             f"{here}?state={key}#flows", part.shape)
            for key, part in sorted(PARTS.items(), key=_compute_sort_key_of_bar_part)
            if counts[key]
        ],
        part_words=[(key, PARTS[key], counts[key]) for key in PARTS if counts[key]],
        total=counts.total(),
        cause_words=[
            (cause.code, get_cause_title(cause.code), len(cause.flows)) for cause in causes
        ],
        **(
            lists.build_matching_list(choice.flows, choice.start)
            if choice.is_list
            else lists.build_lists_by_part(causes)
        ),
        chosen=choice.flows,
        owner=get_owner_name((flow.owner for flow in loaded), choice.flows.owner),
        owners=suggest_owners(flow.owner for flow in loaded),
        absent_owners=count_absent_owners(
            flow.owner for flow, part in lists.flows if part in _NEEDING_OWNER
        ),
        all_flows=ALL,
        is_part=others is not None,
        history=select_history_page(known, names, choice.history),
        history_filters=FILTERS,
        history_kind=choice.history.kind,
        history_size=ENTRIES_ON_PAGE,
        history_length=HISTORY_LENGTH,
        visible=[adapt_action_to_kill_switch(retry, view)]
        if (retry := build_cause_retry_action(shown, choice.flows.reason_code, view.principal))
        else [one for one in actions if one.action.endswith("/retry")],
        menu=[one for one in actions if not one.action.endswith("/retry")],
        started=format_start_source(shown.remediation),
        issues=[
            replace(one, ignore=adapt_action_to_kill_switch(one.ignore, view)) for one in issues
        ],
        past_issue_count=past_issue_count,
        fixes=_list_fixes_with_actions(view, shown, proposed_fixes),
        stopped=build_stop_banner(view),
        unread=str(proposed_fixes) if isinstance(proposed_fixes, CmkflowError) else "",
        **build_dependency_group_values(
            here,
            {flow.workflow_id: (flow, get_display_state(flow)) for flow in loaded},
            choice.diagrams,
        ),
    )  # fmt: skip


def _list_fixes_with_actions(
    view: PageContext, shown: RemediationView, found: Sequence[FirewallFixView] | CmkflowError
) -> list[tuple[FirewallFixView, PageAction | None]]:
    if isinstance(found, CmkflowError):
        return []
    jobs = {job.environment_id: job for job in shown.environment_jobs}
    return [
        (one, action and adapt_action_to_kill_switch(action, view))
        for one in found
        for identity in one.environment_ids
        if identity in jobs
        for action in [build_firewall_fix_action(one, jobs[identity], view.principal)]
    ]


def _compute_sort_key_of_bar_part(part: tuple[str, FlowPart]) -> tuple[bool, bool]:
    return part[0] != "both_off", part[1].look != "done"


def _get_environment_name(job: EnvironmentJob) -> str:
    return job.environment_name or job.environment_id
