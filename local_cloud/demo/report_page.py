"""Builds the demo's HTML report from its JSON report: one page, without scripts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.html_pages import read_style, render_template

type Json = dict[str, Any]

#: Number of steps of the demo that are not folded.
_FIRST_NOTES = 8
#: How a flow ended: the look, and the words for one and for many flows; in the order of the page.
ENDS: dict[str, tuple[str, str, str]] = {
    "needs_changes": (
        "person", "needs changes by its maker first", "need changes by their makers first",
    ),
    "blocked": ("person", "is blocked", "are blocked"),
    "failed": ("person", "failed", "failed"),
    "retired": ("done", "is migrated to a copy", "are migrated to a copy"),
    "prepared": ("done", "was prepared before the key", "were prepared before the key"),
    "moved": ("done", "was moved by the platform", "were moved by the platform"),
    "rolled_back": ("over", "is rolled back", "are rolled back"),
}  # fmt: skip
_PEOPLE = ("needs_changes", "blocked", "failed")


@dataclass(slots=True, kw_only=True)
class FlowGroup:
    """Flows that ended alike for the same reason."""

    state: str
    reason: str
    fix: str
    flows: list[Json] = field(default_factory=list)


def render_report_page(document: Json) -> str:
    """The page for a JSON report."""
    flows = document["flows"]
    ends = Counter(flow["state"] for flow in flows)
    order = [*ENDS, *(state for state in ends if state not in ENDS)]
    values = {
        "report": document,
        "ends": [_describe_end(state, ends[state]) for state in order if ends[state]],
        "looks": {state: look for state, (look, _, _) in ENDS.items()},
        "groups": group_flows(flow for flow in flows if flow["state"] in _PEOPLE),
        "environments": _group_by_environment(flows),
        "open": sum(ends[state] for state in _PEOPLE),
        "notes": document["notes"],
        "first_notes": _FIRST_NOTES,
        "style": read_style(),
    }
    return render_template(Path(__file__).with_name("report.html.j2"), values)


def _describe_end(state: str, number: int) -> tuple[str, str, int]:
    """The look and the words of flows that ended in a state, and their number."""
    look, one, many = ENDS.get(state, ("wait", state, state))
    return look, one if number == 1 else many, number


def group_flows(flows: Iterable[Json]) -> list[FlowGroup]:
    """Flows by what a person has to do, so that no text is repeated."""
    found: dict[tuple[str, str, str], FlowGroup] = {}
    for flow in flows:
        # Messages of blocked flows name the flow; their code is what they share.
        key = (flow["state"], flow["code"] or flow["explanation"], flow["fix"])
        group = found.setdefault(
            key, FlowGroup(state=flow["state"], reason=flow["explanation"], fix=flow["fix"])
        )
        group.flows.append(flow)
    order = list(_PEOPLE)
    return sorted(found.values(), key=lambda one: (order.index(one.state), -len(one.flows)))


def _group_by_environment(flows: Iterable[Json]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    order = list(ENDS)
    for flow in flows:
        found.setdefault(flow["environment"], []).append(flow)
    for listed in found.values():
        listed.sort(
            key=lambda one: (
                order.index(one["state"]) if one["state"] in order else len(order),
                one["title"].lower(),
            )
        )
    return found
