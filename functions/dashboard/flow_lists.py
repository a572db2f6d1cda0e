"""List the flows of a remediation: those of each cause and part, or those that match a filter."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from functions.dashboard.cause_actions import build_cause_retry_action, build_new_start_action
from functions.dashboard.causes import NEEDS_CHANGES, Cause
from functions.dashboard.flow_lines import FlowFilter, LineContext, build_flow_line
from functions.dashboard.flow_parts import PART_OF_CLOSED, PARTS, FlowPart, get_part_key
from functions.dashboard.kill_switch import adapt_action_to_kill_switch
from functions.dashboard.page_layout import PageContext
from functions.dashboard.table_rows import render_flow_rows
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView

#: Maximum number of flows on one page of a list.
FLOWS_ON_PAGE = 100
#: Maximum number of flows of one part, or of the only cause, where all parts are shown.
FLOWS_OF_PART = 20
#: The same for each of several causes, so that the first screen shows more than one cause.
_FLOWS_OF_CAUSE = 5
#: Parts of which more flows than this are folded; they require nothing.
_FOLDED = {
    "migrated": 10,
    "prepared": 10,
    "not_included": 10,
    "other_remediation": 10,
    "planned": 20,
}
_ORDER = {key: number for number, key in enumerate(PARTS)}
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedFlows:
    """Flows with closed jobs: how many there are by state, and those on the page."""

    #: Number of all such flows by state.
    counts: Mapping[str, int] = field(default_factory=dict)
    on_page: Sequence[FlowView] = ()


def compute_closed_flows_range(
    flows: Iterable[FlowView], chosen: FlowFilter, start: int
) -> tuple[int, int]:
    """Return how many closed flows to skip and how many to read for a page that begins at `start`.

    The matching flows of `flows` come before the closed ones.
    """
    before = sum(chosen.matches_flow(flow, get_part_key(flow)) for flow in flows)
    first = max(start - before, 0)
    return first, max(start + FLOWS_ON_PAGE - before, 0) - first


def sort_flows_by_part(flows: Iterable[FlowView]) -> list[tuple[FlowView, str]]:
    """Return each flow with the key of its part, sorted by part and then by title."""
    return sorted(((flow, get_part_key(flow)) for flow in flows), key=_compute_sort_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLists:
    """The flows on the page of a remediation, from which the page builds its lists."""

    view: PageContext
    shown: RemediationView
    #: URL of the page.
    here: str
    context: LineContext
    #: From `sort_flows_by_part`.
    flows: Sequence[tuple[FlowView, str]]
    closed: ClosedFlows

    @property
    def counts(self) -> Counter[str]:
        counts = Counter(part for _, part in self.flows)
        for state, number in self.closed.counts.items():
            counts[PART_OF_CLOSED.get(state, "unknown")] += number
        return counts

    @property
    def loaded_flows_with_parts(self) -> list[tuple[FlowView, str]]:
        """Return the open flows and the closed flows on the page, each with the key of its part."""
        return [*self.flows, *((flow, get_part_key(flow)) for flow in self.closed.on_page)]

    def build_matching_list(self, chosen: FlowFilter, start: int) -> dict[str, Any]:
        """Return the template's values for one list of the flows that match a filter."""
        found = [(flow, part) for flow, part in self.flows if chosen.matches_flow(flow, part)]
        lines = [
            build_flow_line(flow, self.context, part)
            for flow, part in found[start : start + FLOWS_ON_PAGE]
        ]
        lines += [build_flow_line(flow, self.context) for flow in self.closed.on_page]
        counts, state = self.closed.counts, chosen.find_closed_state()
        closed = sum(counts.values()) if state is None else counts.get(state, 0)
        return {
            "is_list": True,
            "rows": render_flow_rows(lines, self.here),
            "begins": start,
            "on_page": len(lines),
            "matching": len(found) + closed,
            "size": FLOWS_ON_PAGE,
        }

    def build_lists_by_part(self, causes: Sequence[Cause]) -> dict[str, Any]:
        """Return the template's values for a list for each cause and each other part."""
        of_cause = _FLOWS_OF_CAUSE if len(causes) > 1 else FLOWS_OF_PART
        most = max(min(FLOWS_ON_PAGE // max(len(causes), 1), of_cause), 3)
        by_part: dict[str, list[FlowView]] = {}
        for flow, part in self.loaded_flows_with_parts:
            by_part.setdefault(part, []).append(flow)
        counts = self.counts
        most_of_part = FLOWS_ON_PAGE if counts.total() <= FLOWS_ON_PAGE else FLOWS_OF_PART
        return {
            "is_list": False,
            "causes": [self._build_cause_values(cause, most) for cause in causes],
            "groups": [
                self._build_part_values(part, by_part.get(key, [])[:most_of_part], counts[key])
                for key, part in PARTS.items()
                if not part.has_cause
            ],
        }

    def _build_cause_values(self, cause: Cause, most: int) -> dict[str, Any]:
        lines = [build_flow_line(flow, self.context, cause=cause) for flow in cause.flows[:most]]
        action = (
            build_new_start_action(self.shown, cause.flows, self.view.principal)
            if cause.code == NEEDS_CHANGES
            else build_cause_retry_action(self.shown, cause.code, self.view.principal)
        )
        return {
            "cause": cause,
            "rows": render_flow_rows(lines, self.here, shows_steps=bool(cause.jobs)),
            "action": action and adapt_action_to_kill_switch(action, self.view),
            "left": len(cause.flows) - len(lines),
        }

    def _build_part_values(
        self, part: FlowPart, flows: Sequence[FlowView], number: int
    ) -> dict[str, Any]:
        lines = [build_flow_line(flow, self.context, part.key) for flow in flows]
        has_steps = any(line.steps for line in lines)
        return {
            "part": part,
            "number": number,
            "rows": render_flow_rows(lines, self.here, shows_steps=has_steps),
            "has_steps": has_steps,
            "left": number - len(lines),
            "action": build_new_start_action(self.shown, flows, self.view.principal)
            if part.is_withdrawn and len(flows) == number
            else None,
            "is_folded": number > _FOLDED.get(part.key, number),
        }


def _compute_sort_key(divided: tuple[FlowView, str]) -> tuple[int, str]:
    flow, part = divided
    return _ORDER[part], _DIGITS.sub(lambda found: found[0].zfill(9), flow.title.lower())
