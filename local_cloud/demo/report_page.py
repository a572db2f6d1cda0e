"""Build the demo's HTML report from its JSON report: one page without scripts."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.html_pages import read_style, render_template

type Json = dict[str, Any]

#: Number of steps of the demo that are not folded.
_FIRST_NOTES = 8
#: For each end state: style, and words for one flow and for several, in the order of the page.
ENDS: dict[str, tuple[str, str, str]] = {
    "failed": ("person", "failed", "failed"),
    "blocked": ("person", "is blocked", "are blocked"),
    "needs_changes": (
        "wait", "needs changes by its maker first", "need changes by their makers first",
    ),
    "retired": ("done", "is migrated to a copy", "are migrated to a copy"),
    "prepared": ("done", "was prepared before the key", "were prepared before the key"),
    "moved": ("done", "was moved by the platform", "were moved by the platform"),
    "rolled_back": ("over", "is rolled back", "are rolled back"),
}  # fmt: skip
_PEOPLE = ("failed", "blocked", "needs_changes")
#: A command of the app's texts for one flow, with ids in place of names.
_START = re.compile(r"(cmkflow remediation start) [0-9a-f-]{36} (--mode \w+ --flow) [0-9a-f-]{36}")


@dataclass(slots=True, kw_only=True)
class FlowGroup:
    state: str
    reason: str
    fix: str
    flows: list[Json] = field(default_factory=list)


def render_report_page(document: Json) -> str:
    flows = [flow | {"fix": _replace_ids_with_names(flow)} for flow in document["flows"]]
    ends = Counter(flow["state"] for flow in flows)
    order = [*ENDS, *(state for state in ends if state not in ENDS)]
    values = {
        "report": document,
        "ends": [_describe_end(state, ends[state]) for state in order if ends[state]],
        "looks": {state: look for state, (look, _, _) in ENDS.items()},
        "groups": group_flows(flow for flow in flows if flow["state"] in _PEOPLE),
        "environments": _group_by_environment(flows),
        "open": sum(ends[state] for state in _PEOPLE),
        "numbers": [(name, value) for name, value in _list_numbers(document) if value],
        "notes": document["notes"],
        "first_notes": _FIRST_NOTES,
        "indent": "\u2003",
        "style": read_style(),
    }
    return render_template(Path(__file__).with_name("report.html.j2"), values)


def _list_numbers(document: Json) -> Iterator[tuple[str, str | int]]:
    traffic = document["traffic"]
    yield "Calls answered", f"{traffic['answered']:,} of {traffic['sent']:,}"
    yield "Calls lost", str(traffic["lost"])
    yield "Copies planned", document["flows_copied"]
    yield "Flows prepared before the key", document["flows_prepared"]
    yield "Callers updated", sum(document["callers_updated"].values())
    yield "Originals deleted", sum(one["state"] == "deleted" for one in document["deletions"])
    if document["flows_measured"]:
        yield "Requests for each flow", round(sum(document["platform_calls_per_flow"].values()))
    yield "Next key check", document["recheck_at"]


def _replace_ids_with_names(flow: Json) -> str:
    """Return a flow's fix with names in place of ids, which the command line accepts too."""
    names = [shlex.quote(flow[one]) for one in ("environment", "title")]
    return _START.sub(lambda found: f"{found[1]} {names[0]} {found[2]} {names[1]}", flow["fix"])


def _describe_end(state: str, number: int) -> tuple[str, int, str, str, str]:
    look, one, many = ENDS.get(state, ("wait", state, state))
    link = "#people" if state in _PEOPLE else "#flows"
    return look, number, one if number == 1 else many, link, "undo" if look == "over" else ""


def group_flows(flows: Iterable[Json]) -> list[FlowGroup]:
    """Group flows that require the same action."""
    found: dict[tuple[str, str, str], FlowGroup] = {}
    for flow in flows:
        # Messages of blocked flows contain the flow's name, so flows are grouped by their code.
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
