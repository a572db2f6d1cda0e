"""Build each page of the dashboard from the results of the use cases."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import nlargest

from functions.dashboard.diagrams import draw_dependency_groups
from functions.dashboard.display_state import (
    LOOKS,
    FlowDisplayState,
    display_state_for,
    style_for_state,
)
from functions.dashboard.page_actions import (
    PageAction,
    ignore_action,
    remediation_actions,
    repair,
)
from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.table_rows import FlowTableRow, render_flow_rows
from shared.domain.jobs.durable_job import HistoryEntry
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import CmkflowError
from shared.use_cases.manage_firewall_fixes import FirewallFixView
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView

#: Maximum number of flows on one page of a remediation.
FLOWS_ON_PAGE = 100
#: Maximum number of entries in the history of a remediation.
_MOST_CHANGES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFilter:
    """Selects flows of a remediation by state and by text."""

    state: str = ""
    search: str = ""

    def of(self, lines: list[FlowTableRow]) -> list[FlowTableRow]:
        """Return the lines that match."""
        if not (self.state or self.search):
            return lines
        return [line for line in lines if self.takes(line)]

    def takes(self, line: FlowTableRow) -> bool:
        """Return whether a line matches."""
        if self.state not in ("", line.standing.key):
            return False
        return not self.search or self.search.lower() in f"{line.title} {line.id}".lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedFlows:
    """Closed flows of a remediation that were counted and not read."""

    #: Number of all such flows by state.
    counts: Mapping[str, int] = field(default_factory=dict)
    on_page: Sequence[FlowView] = ()


def closed_flows_range(
    flows: Iterable[FlowView], chosen: FlowFilter, start: int
) -> tuple[int, int]:
    """Return how many closed flows to skip and to take for a page that starts at `start`.

    Matching flows of `flows` come first, closed flows after them.
    """
    before = sum(
        chosen.takes(_line(flow.workflow_id, flow, display_state_for(flow), {})) for flow in flows
    )
    first = max(start - before, 0)
    return first, max(start + FLOWS_ON_PAGE - before, 0) - first


def remediation_page(
    view: PageContext,
    shown: RemediationView,
    flows: Sequence[FlowView],
    chosen: FlowFilter,
    closed_by: Sequence[FirewallFixView] | CmkflowError = (),
    *,
    start: int = 0,
    others: ClosedFlows | None = None,
) -> str:
    """Return the page of one remediation.

    `closed_by`: proposed firewall fixes, or the error that occurred. `start`: number of matching
    flows before this page. `others`: closed flows that come after `flows`; None if `flows` are all.
    """
    rest = others or ClosedFlows()
    names = {job.environment_id: _name_of(job) for job in shown.environment_jobs}
    found = {flow.workflow_id: (flow, display_state_for(flow)) for flow in flows}
    where = names if len(names) > 1 else {}
    lines = [_line(one, *both, where) for one, both in found.items()]
    lines.sort(key=_place)
    counts = Counter((line.standing.key, line.standing.look) for line in lines)
    counts.update(
        {(state, style_for_state(state)): number for state, number in rest.counts.items()}
    )
    listed = chosen.of(lines)
    matching = len(listed) + sum(
        number for state, number in rest.counts.items() if chosen.state in ("", state)
    )
    more = {flow.workflow_id: (flow, display_state_for(flow)) for flow in rest.on_page}
    on_page = listed[start : start + FLOWS_ON_PAGE]
    on_page += [_line(one, *both, where) for one, both in more.items()]
    here = f"/api/dashboard/remediations/{shown.remediation.id}"
    known = replace(
        shown, flow_jobs=(*shown.flow_jobs, *(one.job for one in rest.on_page if one.job))
    )
    looks = Counter[str]()
    for (_, look), number in counts.items():
        looks[look] += number
    return render_page(
        "remediation",
        view,
        shown=shown,
        names=names,
        here=here,
        counts=sorted(counts.items(), key=lambda one: LOOKS.index(one[0][1])),
        whole=_bar({look: looks[look] for look in LOOKS if looks[look]}),
        rows=render_flow_rows(on_page, here),
        total=counts.total(),
        begins=start,
        on_page=len(on_page),
        matching=matching,
        size=FLOWS_ON_PAGE,
        is_part=others is not None,
        chosen=chosen,
        titles={flow.workflow_id: flow.title for flow in flows},
        changes=_timeline(known),
        actions=remediation_actions(shown, view.principal, view.now, is_whole=others is None),
        waivers={
            (job.environment_id, gap.name): ignore_action(job, gap, view.principal)
            for job in shown.environment_jobs
            for gap in job.firewall_issues
        },
        repairs=_repairs(view, shown, closed_by),
        unread=str(closed_by) if isinstance(closed_by, CmkflowError) else "",
        **draw_dependency_groups(shown.remediation.id, found | more),
    )


def _repairs(
    view: PageContext, shown: RemediationView, found: Sequence[FirewallFixView] | CmkflowError
) -> list[tuple[FirewallFixView, PageAction | None]]:
    if isinstance(found, CmkflowError):
        return []
    jobs = {job.environment_id: job for job in shown.environment_jobs}
    return [
        (one, repair(one, jobs[identity], view.principal))
        for one in found
        for identity in one.environment_ids
        if identity in jobs
    ]


def _bar(looks: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return class, start and width of each segment of a bar, in percent."""
    total, at, parts = sum(looks.values()), 0.0, []
    for look, number in looks.items():
        width = 100 * number / total if total else 0
        parts.append((look, round(at, 2), round(width, 2)))
        at += width
    return parts


def _line(
    identity: str, flow: FlowView, standing: FlowDisplayState, names: Mapping[str, str]
) -> FlowTableRow:
    job, item = flow.job, flow.item
    return FlowTableRow(
        identity,
        flow.title,
        names[flow.environment_job.environment_id] if names else "",
        standing,
        job.fix if job else item.fix if item else "",
        len(item.callers) if item else 0,
    )


def _place(line: FlowTableRow) -> tuple[int, str, str]:
    return LOOKS.index(line.standing.look), line.standing.key, line.title.lower()


def _name_of(job: EnvironmentJob) -> str:
    return job.environment_name or job.environment_id


def _timeline(shown: RemediationView) -> list[tuple[HistoryEntry, str, str]]:
    """Return the last changes of all jobs, newest first: entry, name of the flow, workflow id."""
    changes = [(one, _name_of(job), "") for job in shown.environment_jobs for one in job.history]
    # The job of any other entry has a later one, so its entries cannot be among the last.
    latest = nlargest(_MOST_CHANGES, (job for job in shown.flow_jobs if job.history), key=_last)
    for job in latest:
        changes += [(one, job.display_name, job.original_id) for one in job.history]
    changes.reverse()  # of entries with the same time, the later one comes first
    return sorted(changes, key=lambda one: one[0].changed_at, reverse=True)[:_MOST_CHANGES]


def _last(job: FlowJob) -> datetime:
    return job.history[-1].changed_at
