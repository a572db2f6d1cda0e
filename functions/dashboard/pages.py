"""What each page of the dashboard shows, from what the use cases return."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from functions.dashboard.family_picture import NODE_HEIGHT, NODE_WIDTH, Node, draw, families
from functions.dashboard.looks import Standing, look_of, shares, standing_of
from shared.domain.jobs.durable import Change
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.words import ACTION_WORDS, LEFT_WORDS, place_in_plan, state_in_words
from shared.errors import ProductError
from shared.pages import rendered, style
from shared.use_cases.show_attention import Attention
from shared.use_cases.show_flow import Comparison, FlowDetail, ShownFlow
from shared.use_cases.show_remediation import ShownPlan, ShownRemediation, ShownRemediations

_FOLDER = Path(__file__).parent
#: Larger families are a tangle, and more of them nobody looks at: the list of flows says the same.
_MOST_IN_PICTURE = 60
_MOST_PICTURES = 12
#: Lines of the timeline of a remediation; each flow has its own on its page.
_MOST_CHANGES = 40


@cache
def assets() -> dict[str, tuple[str, str]]:
    """Return what pages load, by a name with its hash: media type and text."""
    files = (
        ("css", "text/css", style()),
        ("js", "text/javascript", (_FOLDER / "live.js").read_text()),
        ("svg", "image/svg+xml", (_FOLDER / "icon.svg").read_text()),
    )
    return {
        f"{sha256(text.encode()).hexdigest()[:12]}-{suffix}": (kind, text)
        for suffix, kind, text in files
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLine:
    """One flow in a list."""

    flow: ShownFlow
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which flows of a remediation are listed."""

    state: str = ""
    find: str = ""

    def takes(self, line: FlowLine) -> bool:
        """Say whether a flow is listed."""
        return self.state in {"", line.standing.key} and (
            not self.find
            or self.find.lower() in f"{line.flow.title} {line.flow.workflow_id}".lower()
        )


def overview_page(attention: Attention) -> str:
    """Return the page of what waits for whom, and how far the tenant is."""
    bars = {one.environment_id: _bar(_looks(one.flows)) for one in attention.environments}
    return _page("overview", attention=attention, bars=bars, whole=_bar(_looks(attention.flows)))


def list_page(found: ShownRemediations) -> str:
    """Return the page of all remediations, newest first."""
    return _page("remediations", items=found.items, unreadable_rows=found.unreadable)


def remediation_page(shown: ShownRemediation, flows: Sequence[ShownFlow], chosen: Filter) -> str:
    """Return the page of one remediation."""
    lines = [FlowLine(flow=flow, standing=standing_of(flow)) for flow in flows]
    lines.sort(key=_place)
    counts = Counter((line.standing.key, line.standing.look) for line in lines)
    return _page(
        "remediation",
        shown=shown,
        names={job.environment_id: _name_of(job) for job in shown.environment_jobs},
        counts=sorted(counts.items(), key=lambda one: _rank(one[0][1])),
        whole=_bar(shares(line.standing.look for line in lines)),
        lines=[line for line in lines if chosen.takes(line)],
        total=len(lines),
        chosen=chosen,
        titles={flow.workflow_id: flow.title for flow in flows},
        changes=_timeline(shown),
        **_pictures(shown.remediation.id, lines),
    )


def plan_page(
    remediation_id: str, plans: Sequence[ShownPlan], *, only: str = "", is_file: bool = False
) -> str:
    """Return what is planned for each flow, with every write.

    `only`: flows of this action, or `awaiting` or `changed`. `is_file`: a page to
    send around, which brings its style with it and has no buttons.
    """
    items = [item for plan in plans for item in plan.items]
    shown = [_shown(plan, only) for plan in plans]
    chosen = {
        "": ("all", len(items)),
        "awaiting": ("waits for approval", sum(len(one["awaiting"]) for one in shown)),
        "changed": ("changed", sum(bool(item.changed) for item in items)),
        **{action: (ACTION_WORDS[action], number) for action, number in _counts(items).items()},
    }
    return _page(
        "plan",
        remediation_id=remediation_id,
        plans=shown,
        filters=[(key, *said) for key, said in chosen.items() if said[1] or not key],
        only=only,
        counts=_counts(items),
        style=style() if is_file else "",
    )


def flow_page(detail: FlowDetail, compared: Comparison | ProductError | None) -> str:
    """Return the page of one flow."""
    return _page(
        "flow",
        detail=detail,
        flow=detail.flow,
        standing=standing_of(detail.flow),
        comparison=compared if isinstance(compared, Comparison) else None,
        steps=_steps(detail.flow.job.history) if detail.flow.job else [],
        refusal=str(compared) if isinstance(compared, ProductError) else "",
    )


def problem_page(title: str, detail: str, instruction: str) -> str:
    """Return the page that says why there is no other."""
    return _page("problem", title=title, detail=detail, instruction=instruction)


def _page(name: str, **values: Any) -> str:
    css, js, icon = assets()
    common = {
        "css": css,
        "js": js,
        "icon": icon,
        "look": look_of,
        "action_words": ACTION_WORDS,
        "left_words": LEFT_WORDS,
        "state_in_words": state_in_words,
        "style": "",
    }
    return rendered(_FOLDER / f"{name}.html.j2", {**common, **values})


def _looks(states: Mapping[str, int]) -> dict[str, int]:
    count = Counter[str]()
    for state, number in states.items():
        count[look_of(state)] += number
    return shares(count.elements())


def _bar(looks: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return for each look where its part of a bar begins and how wide it is, in percent."""
    total, at, parts = sum(looks.values()), 0.0, []
    for look, number in looks.items():
        width = 100 * number / total if total else 0
        parts.append((look, round(at, 2), round(width, 2)))
        at += width
    return parts


def _place(line: FlowLine) -> tuple[int, str, str]:
    return _rank(line.standing.look), line.standing.key, line.flow.title.lower()


def _rank(look: str) -> int:
    return ("person", "wait", "work", "done", "over").index(look)


def _name_of(job: EnvironmentJob) -> str:
    return job.environment_name or job.environment_id


def _timeline(shown: ShownRemediation) -> list[tuple[Change, str, str]]:
    """Return the last changes of all jobs, newest first: the change, whose, and the flow's id."""
    changes = [(one, _name_of(job), "") for job in shown.environment_jobs for one in job.history]
    changes += [
        (one, job.display_name, job.original_id) for job in shown.jobs for one in job.history
    ]
    changes.reverse()  # of what happened at once, what came last stands first
    return sorted(changes, key=lambda one: one[0].at, reverse=True)[:_MOST_CHANGES]


def _pictures(remediation_id: str, lines: Iterable[FlowLine]) -> dict[str, Any]:
    nodes: dict[str, Node] = {}
    calls: list[tuple[str, str]] = []
    for line in lines:
        flow, standing = line.flow, line.standing
        nodes[flow.workflow_id] = Node(
            id=flow.workflow_id,
            title=flow.title,
            note=standing.words,
            look=standing.look,
            link=f"/api/dashboard/remediations/{remediation_id}/flows/{flow.workflow_id}",
            is_stuck=standing.look == "person",
            is_over=standing.look in {"done", "over"},
            is_proven=flow.job is not None and flow.job.is_proven,
            is_settled=flow.job is not None and flow.job.facts.is_settled,
        )
    titles = {f"flow {node.title}" for node in nodes.values()}
    for line in lines:
        if (item := line.flow.item) is None:
            continue
        calls += [(item.workflow_id, child) for child in item.children]
        calls += [(parent, item.workflow_id) for parent in item.parents]
        for caller in item.callers:
            if caller.label in titles:
                continue
            identity = f"{caller.kind} {caller.label}"
            note = "by hand" if caller.manual else caller.kind.replace("_", " ")
            look = "wait" if caller.manual else ""
            nodes[identity] = Node(id=identity, title=caller.label, note=note, look=look)
            calls.append((identity, item.workflow_id))
    found = families(nodes.values(), calls)
    drawn = [draw(one) for one in found if len(one.nodes) <= _MOST_IN_PICTURE][:_MOST_PICTURES]
    return {
        "pictures": drawn,
        "undrawn": len(found) - len(drawn),
        "node_width": NODE_WIDTH,
        "node_height": NODE_HEIGHT,
    }


def _shown(plan: ShownPlan, only: str) -> dict[str, Any]:
    awaiting = frozenset(plan.awaiting)
    chosen = [
        item
        for item in plan.items
        if only in {"", item.action}
        or (only == "awaiting" and item.workflow_id in awaiting)
        or (only == "changed" and item.changed)
    ]
    chosen.sort(
        key=lambda item: place_in_plan(
            changed=item.changed, action=item.action, title=item.display_name
        )
    )
    return {
        "plan": plan,
        "job": plan.environment_job,
        "title": _name_of(plan.environment_job),
        "version": plan.version,
        "awaiting": awaiting,
        "items": chosen,
        "titles": {item.workflow_id: item.display_name for item in plan.items},
        "counts": _counts(plan.items),
        "writes": sum(len(item.writes) for item in plan.items if item.workflow_id in awaiting),
    }


def _counts(items: Sequence[PlanItem]) -> dict[str, int]:
    count = Counter[str](item.action for item in items)
    return {action: count[action] for action in ACTION_WORDS if count[action]}


def _steps(changes: Sequence[Change]) -> list[tuple[Change, timedelta | None]]:
    """Return the changes of a job, newest first, and how long each lasted; None: it still does."""
    ends = [one.at for one in changes[1:]]
    lasted = [end - one.at for one, end in zip(changes, ends, strict=False)]
    return list(zip(changes, [*lasted, None], strict=False))[::-1]
