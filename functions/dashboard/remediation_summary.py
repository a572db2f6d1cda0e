"""Describe in sentences what a remediation has reached, since when it is blocked, and what to do
next.

The page of the remediation begins with these sentences.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from functions.dashboard.display_state import choose_css_class
from functions.dashboard.flow_parts import PARTS
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.remediation_states import RemediationState
from shared.domain.plans.pending_actions import format_count
from shared.html_pages import format_moment
from shared.use_cases.show_flow import FlowView
from shared.use_cases.show_remediation import RemediationView

#: What a person does about each part, after its number; the second text is for one flow alone.
_TO_DO: Mapping[str, tuple[str, str]] = {
    "both_off": ("have original and copy both off", "has original and copy both off"),
    "blocked": (
        "are blocked and can be retried once their cause is fixed",
        "is blocked and can be retried once its cause is fixed",
    ),
    "still_called": (
        "are still called at their old URLs by unknown callers",
        "is still called at its old URL by an unknown caller",
    ),
    "needs_changes": (
        "need changes and a new remediation",
        "needs changes and a new remediation",
    ),
}
_DRY: Mapping[str, str] = {"planned": "can be migrated"}
#: The parts of a completed remediation that are not migrated, after their number as above.
_LEFT: Mapping[str, tuple[str, str]] = {
    "needs_changes": ("need changes first", "needs changes first"),
    "cancelled": ("were cancelled", "was cancelled"),
    "rolled_back": ("were rolled back", "was rolled back"),
    "not_included": ("were not included", "was not included"),
    "planned": ("were not started", "was not started"),
    "unknown": ("have no known state", "has no known state"),
}


def summarize_remediation(
    shown: RemediationView, flows: Sequence[tuple[FlowView, str]], counts: Mapping[str, int]
) -> list[str]:
    """Return the sentences at the top of a remediation's page.

    `counts` contains the number of flows in each part. `flows` has at least the flows that require
    an action, each with the key of its part.
    """
    total = sum(counts.values()) - counts.get("other_remediation", 0)
    sentences = _format_blocked_environments(shown)
    if shown.progress.state in {RemediationState.COMPLETED, RemediationState.CANCELLED}:
        return sentences + _format_remaining_work(shown, counts, flows)
    if number := counts.get("awaiting", 0):
        sentences.append(
            f"{format_count(number, 'flow')} {PARTS['awaiting'].format_verb_phrase(number)}. "
            "The app does not change them before an approver approves the plan."
        )
    asked = [(flow, part) for flow, part in flows if part in _TO_DO]
    sentences += [*_format_required_actions(counts), *_format_unaffected_originals(asked)]
    if number := counts.get("in_progress", 0):
        sentences.append(f"{format_count(number, 'flow')} {_choose_verb(number)} in progress.")
    if not sentences:
        sentences = _format_planning_progress(shown)
    if number := counts.get("migrated", 0):
        sentences.append(
            f"{number:,} of {format_count(total, 'flow')} {_choose_verb(number)} migrated."
        )
    return sentences


def format_state_chip(shown: RemediationView) -> tuple[str, str, str]:
    """Return the state of a remediation: CSS class, words and icon.

    An empty icon means that of the CSS class.
    """
    look, words = _describe_state(shown)
    is_plan = shown.progress.state is RemediationState.AWAITING_APPROVAL and look == "wait"
    return look, words, "plan" if is_plan else ""


def _describe_state(shown: RemediationView) -> tuple[str, str]:
    progress = shown.progress
    if progress.both_off_count:
        return "person", f"Both off: {format_count(progress.both_off_count, 'flow')}"
    words = progress.state.replace("_", " ").capitalize()
    if progress.state is RemediationState.COMPLETED and is_dry_run(shown):
        return "over", f"{words} · nothing was changed"
    look = choose_css_class(progress.state, progress.not_migrated)
    left = sum(progress.not_migrated.values())
    if progress.state is RemediationState.COMPLETED and left:
        return look, f"{words} · {left:,} not migrated"
    if since := _find_blocked_since(shown):
        return "person", f"Blocked since {format_moment(since)}"
    return look, words


def _find_blocked_since(shown: RemediationView) -> datetime | None:
    jobs = (*shown.environment_jobs, *shown.flow_jobs)
    times = [job.reason_since for job in jobs if job.needs_action]
    return min(filter(None, times), default=None)


def is_dry_run(shown: RemediationView) -> bool:
    """Return whether a remediation only assesses or plans, in every environment."""
    return not any(job.mode.writes for job in shown.environment_jobs)


def _format_blocked_environments(shown: RemediationView) -> list[str]:
    names = [
        job.environment_name or job.environment_id
        for job in shown.environment_jobs
        if job.needs_action
    ]
    if not names:
        return []
    return [f"The work on {_join_texts(names)} is blocked. Fix the cause below, then retry."]


def _format_required_actions(counts: Mapping[str, int]) -> list[str]:
    parts = [(key, counts[key]) for key in _TO_DO if counts.get(key)]
    total = sum(number for _, number in parts)
    if len(parts) == 1:
        [(key, number)] = parts
        return [f"{format_count(number, 'flow')} {_TO_DO[key][number == 1]}."]
    said = [f"{number:,} {_TO_DO[key][number == 1]}" for key, number in parts]
    return [f"{format_count(total, 'flow')} require an action: {', '.join(said)}."] if said else []


def _format_unaffected_originals(asked: Sequence[tuple[FlowView, str]]) -> list[str]:
    if not asked or not all(
        part != "both_off" and (flow.job is None or flow.job.has_original_restored)
        for flow, part in asked
    ):
        return []
    if len(asked) == 1:
        return ["Its original works as before."]
    return [f"The originals of all {len(asked):,} work as before."]


def _format_remaining_work(
    shown: RemediationView, counts: Mapping[str, int], flows: Sequence[tuple[FlowView, str]]
) -> list[str]:
    total, reached = sum(counts.values()), counts.get("migrated", 0) + counts.get("prepared", 0)
    if not total:
        return ["No flow of the plan stays on Microsoft's key."]
    if continued := counts.get("other_remediation", 0):
        mine = {**counts, "other_remediation": 0}
        words = PARTS["other_remediation"].format_verb_phrase(continued)
        return [
            *(_format_remaining_work(shown, mine, flows) if total > continued else ()),
            f"{format_count(continued, 'flow')} {words}.",
        ]
    left = [(key, counts[key]) for key in _LEFT if counts.get(key)]
    if is_dry_run(shown):
        said = [f"{number:,} {_DRY.get(key) or _LEFT[key][number == 1]}" for key, number in left]
        return [
            "Nothing was changed.",
            f"Of {format_count(total, 'flow')}, {_join_texts(said)}." if said else "",
        ]
    number = sum(one for _, one in left)
    if counts.get("rolled_back") == total:
        return [
            f"{_format_all_flows(total)} rolled back and still on Microsoft's key.",
            *_format_unaffected_originals(flows),
        ]
    if not number:
        done = "migrated" if counts.get("migrated") else "prepared for the key"
        return [f"{_format_all_flows(total)} {done}."]
    said = [f"{one:,} {_LEFT[key][one == 1]}" for key, one in left]
    known = [(flow, part) for flow, part in flows if part in _LEFT]
    them = "it" if number == 1 else "them"
    first = "Make the changes, then" if counts.get("needs_changes") else f"To migrate {them},"
    be = _choose_verb(number)
    return [
        f"{number:,} of {format_count(total, 'flow')} {be} not migrated: {_join_texts(said)}.",
        *(_format_unaffected_originals(known) if len(known) == number else ()),
        f"{first} start a new remediation.",
        _format_reached_flows(reached, "migrated" if counts.get("migrated") else "prepared"),
    ]


def _format_reached_flows(number: int, verb: str) -> str:
    return f"{number:,} {_choose_verb(number)} {verb}." if number else ""


def _format_all_flows(total: int) -> str:
    return "The flow is" if total == 1 else f"All {total:,} flows are"


def _choose_verb(number: int) -> str:
    return "is" if number == 1 else "are"


def _format_planning_progress(shown: RemediationView) -> list[str]:
    states = {job.state for job in shown.environment_jobs}
    if EnvironmentJobState.ASSESSING in states:
        return ["The assessment is in progress. It changes nothing."]
    if EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION in states:
        return ["The app waits until the platform has moved the flows that it moves itself."]
    is_planning = states & {EnvironmentJobState.DISCOVERING, EnvironmentJobState.PLANNED}
    return ["The app is making the plan."] if is_planning else []


def _join_texts(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
