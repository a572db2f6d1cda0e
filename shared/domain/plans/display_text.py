"""Define words for people, such as those for planned actions."""

from collections.abc import Mapping, Sequence

from shared.domain.environment import UrlSecretUse
from shared.domain.plans.plan_item import NotMigratedReason, PlannedAction
from shared.domain.plans.remediation import StartSource

#: In the order in which a plan is shown: first flows that need a person, last flows that are not
#: included.
ACTION_WORDS: dict[str, str] = {
    PlannedAction.NEEDS_CHANGES: "needs changes first",
    PlannedAction.COPY: "copy",
    PlannedAction.COPY_WITH_DEPENDENT_FLOWS: "copy with dependent flows",
    PlannedAction.CUT_OVER: "cut over to its copy",
    PlannedAction.COPY_OFF: "copy that stays off",
    PlannedAction.ADD_TO_SOLUTION: "add to a solution",
    PlannedAction.CONVERT_TRIGGER: "convert its trigger",
    PlannedAction.EDIT_ACTION: "edit its action",
    PlannedAction.CONTINUE_EXISTING_JOB: "continue its job",
    PlannedAction.NO_CHANGE: "not included",
}
#: The heading of an item's diff, for a flow that the app or a person converts.
CONVERSION_WORDS: Mapping[str, str] = {
    PlannedAction.CONVERT_TRIGGER: "What changes in the definition",
    PlannedAction.EDIT_ACTION: "What changes in the definition",
    PlannedAction.NEEDS_CHANGES: "What could be changed in the definition",
}
#: Which callers refer to a flow's URL secret, and the words that choose this.
URL_SECRET_WORDS: Mapping[str, tuple[str, str]] = {
    UrlSecretUse.NONE: ("callers hold the URL", "Write URLs instead"),
    UrlSecretUse.VERIFIED_CALLERS: ("callers that can read the secret refer to it", "Use secret"),
    UrlSecretUse.WITH_APP_CONFIGURATION: (
        "callers that can read the secret refer to it, and so do keys of App Configuration",
        "Use secret, also in App Configuration",
    ),
}
_NAME_IT = "start a new remediation that names each flow"
#: Why flows are not migrated, after their number, and what to do about it.
LEFT_WORDS: Mapping[str, tuple[str, str]] = {
    NotMigratedReason.BLOCKED: ("blocked", "fix the reason, then retry"),
    NotMigratedReason.FAILED: ("failed", "read the reason, then retry"),
    NotMigratedReason.NEEDS_CHANGES: (
        "need changes first",
        "change each flow, then start a new remediation",
    ),
    NotMigratedReason.AWAITING_APPROVAL: ("awaiting approval", "read the plan, then approve it"),
    NotMigratedReason.IN_PROGRESS: ("in progress", ""),
    NotMigratedReason.CANCELLED: ("cancelled", _NAME_IT),
    NotMigratedReason.ROLLED_BACK: ("rolled back", _NAME_IT),
    NotMigratedReason.OVER_FLOW_LIMIT: (
        "beyond the flow limit",
        "start the next remediation, or raise the flow limit first",
    ),
    NotMigratedReason.EXCLUDED: (
        "excluded",
        "remove them from the excluded flows, then start a new remediation",
    ),
    NotMigratedReason.EXCLUDED_FROM_APPROVAL: (
        "excluded from the approval",
        "start a new remediation and approve its plan",
    ),
    NotMigratedReason.APPROVAL_EXPIRED: (
        "not approved in time",
        "start a new remediation and approve its plan",
    ),
    NotMigratedReason.KEY_NOT_APPLIED: ("to be copied once the key is applied", "apply the key"),
    NotMigratedReason.DRY_RUN: ("only in a dry run", "start a remediation with --mode apply"),
}
#: The words that differ for one flow.
_LEFT_WORDS_OF_ONE: Mapping[str, tuple[str, str]] = {
    NotMigratedReason.NEEDS_CHANGES: (
        "needs changes first",
        "change the flow, then start a new remediation",
    ),
    NotMigratedReason.CANCELLED: ("cancelled", "start a new remediation for the flow"),
    NotMigratedReason.ROLLED_BACK: ("rolled back", "start a new remediation for the flow"),
    NotMigratedReason.EXCLUDED: (
        "excluded",
        "remove it from the excluded flows, then start a new remediation",
    ),
}
_START_SOURCES: Mapping[str, str] = {
    StartSource.KEY_EVENT: "an event of a key",
    StartSource.POLICY_EVENT: "a change of a policy",
    StartSource.DAILY_CHECK: "the daily check",
}
_RANKS = {action: rank for rank, action in enumerate(ACTION_WORDS)}


def describe_start(start_source: str, started_by: str) -> str:
    """Return who or what started a remediation."""
    return _START_SOURCES.get(start_source) or started_by or "a request without a name"


def describe_why_not_migrated(why: str, number: int) -> tuple[str, str]:
    """Return why flows are not migrated, to put after their number, and what to do.

    For an unknown reason, returns its name and no fix.
    """
    words = LEFT_WORDS.get(why, (why.replace("_", " "), ""))
    return _LEFT_WORDS_OF_ONE.get(why, words) if number == 1 else words


def format_remediation_state(state: str, left: Mapping[str, int]) -> str:
    """Return the state of a remediation.

    If it is `completed`, adds how many flows are not migrated.
    """
    number = sum(left.values())
    return f"{state}, {number} not migrated" if state == "completed" and number else state


def count_undecided_flows[Why: str](left: Mapping[Why, int]) -> int:
    """Return how many flows are neither in progress nor excluded by an administrator.

    `left` counts the flows that are not migrated, by `NotMigratedReason`.
    """
    settled = {NotMigratedReason.IN_PROGRESS, NotMigratedReason.EXCLUDED}
    return sum(number for why, number in left.items() if why not in settled)


def format_not_migrated[Why: str](left: Mapping[Why, int]) -> list[str]:
    """Return a line for each reason why flows are not migrated: how many, and what to do."""
    lines = []
    for why, number in left.items():
        words, then = describe_why_not_migrated(why, number)
        lines.append(f"{number} {words}" + (f": {then}" if then else ""))
    return lines


def format_fixes[Why: str](left: Mapping[Why, int]) -> list[str]:
    """Return what to do about flows that are not migrated.

    If there are several reasons, each line also says how many flows it concerns.
    """
    if len(left) > 1:
        return [line for line in format_not_migrated(left) if ": " in line]
    return [
        then for why, number in left.items() if (then := describe_why_not_migrated(why, number)[1])
    ]


def build_plan_sort_key(
    *, changed: Sequence[str], action: str, title: str
) -> tuple[bool, int, str]:
    """Return the key by which plan items are sorted: changed items first, then by action and title.

    An unknown action counts as a copy.
    """
    return not changed, _RANKS.get(action, 1), title.lower()
