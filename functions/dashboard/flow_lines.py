"""Describe each flow of a remediation as a line of a list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from functions.dashboard.causes import Cause, find_cause_code
from functions.dashboard.flow_parts import PART_OF_CLOSED, PARTS, format_flow_progress, get_part_key
from functions.dashboard.flow_steps import build_flow_steps, shorten_text
from functions.dashboard.table_rows import FlowTableRow
from functions.dashboard.titles import find_repeated_titles, shorten_workflow_id
from shared.domain.flow_owner import is_owned_by
from shared.domain.plans.denying_firewalls import list_denying_firewalls
from shared.domain.plans.display_text import ACTION_WORDS
from shared.html_pages import format_moment
from shared.use_cases.show_flow import FlowView

#: The value of `FlowFilter.state` for all flows in one list.
ALL = "all"
_MOST_WORDS_OF_FIX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFilter:
    """Selects flows of a remediation by part or state, by cause, owner and text."""

    #: Key of a part, state of a job, or `ALL`.
    state: str = ""
    #: Code of a cause.
    reason_code: str = ""
    search: str = ""
    #: Part of an owner's name, id or status.
    owner: str = ""

    @property
    def is_set(self) -> bool:
        """Return whether the filter has a condition."""
        return bool(self.state or self.reason_code or self.search or self.owner)

    def find_closed_state(self) -> str | None:
        """Return the state of the closed jobs that the filter selects: None for all states, "" for
        no closed job.
        """
        if self.reason_code:
            return ""
        if self.state in ("", ALL):
            return None
        part = PARTS.get(self.state)
        return part.closed_state if part else self.state if self.state in PART_OF_CLOSED else ""

    def matches_flow(self, flow: FlowView, part: str) -> bool:
        """Return whether the filter selects a flow; `part` is the key of its part."""
        if self.state not in ("", ALL, part) and not (
            self.state not in PARTS and flow.job and flow.job.state == self.state
        ):
            return False
        if self.reason_code and self.reason_code != find_cause_code(flow, part):
            return False
        if self.owner and not is_owned_by(flow.owner, self.owner):
            return False
        text = self.search.lower()
        return not text or text in f"{flow.title} {flow.workflow_id}".lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineContext:
    """What the lines on a page have in common: the time, names of environments, and repeated
    titles.
    """

    now: datetime
    #: Names of the environments by id; empty if the remediation has only one.
    names: Mapping[str, str]
    #: Titles that several flows have; their lines show the beginning of the id.
    equal_titles: frozenset[str] = frozenset()


def build_line_context(
    now: datetime, names: Mapping[str, str], flows: Iterable[FlowView]
) -> LineContext:
    """Return the context for the lines of these flows.

    `names` contains the names of the remediation's environments by id.
    """
    return LineContext(
        now=now,
        names=names if len(names) > 1 else {},
        equal_titles=find_repeated_titles(flow.title for flow in flows),
    )


def build_flow_line(
    flow: FlowView, context: LineContext, part: str = "", cause: Cause | None = None
) -> FlowTableRow:
    """Return the line of a flow. `part` is the key of its part.

    With `cause`, the line is for the list of flows that have this cause.
    """
    part = part or get_part_key(flow)
    look = PARTS[part].look
    reason, fix = _format_reason_and_fix(flow, part)
    if cause and cause.has_one_fix:
        fix = ""
    if cause and cause.message == reason:
        reason = ""
    short, short_fix = shorten_text(reason), shorten_text(fix, _MOST_WORDS_OF_FIX)
    cut = [reason] if short != reason else []
    cut += [f"Fix: {fix}"] if short_fix != fix else []
    return FlowTableRow(
        id=flow.workflow_id,
        title=flow.title,
        where=_format_place_and_absent_owner(flow, context),
        look=look,
        shape=PARTS[part].shape,
        steps=None
        if part == "awaiting"
        else build_flow_steps(flow.job, is_stopped=look == "person"),
        words=format_flow_progress(flow, part),
        reason=short,
        details=" ".join(cut),
        fix=short_fix,
        next_step=_format_next_check_or_end(flow, part, context.now),
    )


def _format_place_and_absent_owner(flow: FlowView, context: LineContext) -> str:
    place = context.names.get(flow.environment_job.environment_id, "")
    identity = (
        f"Id {shorten_workflow_id(flow.workflow_id)}" if flow.title in context.equal_titles else ""
    )
    owner = flow.owner
    absent = ""
    if owner and owner.status.has_left:
        absent = f"Owner: {owner.label}" if owner.name else "Owner not found"
    return ". ".join(filter(None, (place, identity, absent)))


def _format_reason_and_fix(flow: FlowView, part: str) -> tuple[str, str]:
    job, item = flow.job, flow.item
    if job and part != "awaiting":
        if denying := list_denying_firewalls(job, flow.environment_job.firewall_issues):
            names = ", ".join(issue.firewall_name or issue.name for issue in denying)
            return f"Firewall{'s' if len(denying) > 1 else ''} {names}", job.fix
        return job.message, job.fix
    if item is None:
        return "", ""
    if part in {"needs_changes", "not_included", "migrated"}:
        return item.message, item.fix
    words = ACTION_WORDS.get(item.action, item.action)
    changed = "; ".join(item.changed_since_approval)
    return f"{words[0].upper()}{words[1:]}" + (f". Changed: {changed}" if changed else ""), ""


def _format_next_check_or_end(flow: FlowView, part: str, now: datetime) -> str:
    job = flow.job
    if job is None or part == "awaiting":
        return ""
    if part == "in_progress":
        at = job.next_check_at
        if at is None or at <= now:
            return ""
        return f"Next check {f'{at:%H:%M} UTC' if at.date() == now.date() else format_moment(at)}"
    is_closed = PARTS[part].closed_state == job.state
    return f"{job.history[-1].changed_at:%Y-%m-%d}" if is_closed and job.history else ""
