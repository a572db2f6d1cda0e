"""What a plan does with a flow, as all who show it say it."""

from collections.abc import Mapping, Sequence

from shared.domain.plans.plan_item import NotMigratedReason, PlannedAction

#: In the order in which a plan is shown: what needs somebody first, what is left alone last.
ACTION_WORDS: dict[str, str] = {
    PlannedAction.NEEDS_CHANGES: "needs changes first",
    PlannedAction.COPY: "copy",
    PlannedAction.COPY_WITH_DEPENDENT_FLOWS: "copy with its family",
    PlannedAction.CUT_OVER: "swap for its copy",
    PlannedAction.COPY_OFF: "copy that stays off",
    PlannedAction.ADD_TO_SOLUTION: "add to a solution",
    PlannedAction.CONVERT_TRIGGER: "convert its trigger",
    PlannedAction.EDIT_ACTION: "edit its action",
    PlannedAction.CONTINUE_EXISTING_JOB: "its job goes on",
    PlannedAction.NO_CHANGE: "leave as it is",
}
#: What an item's difference of definitions is, where the flow is converted or a person may do it.
CONVERSION_WORDS: Mapping[str, str] = {
    PlannedAction.CONVERT_TRIGGER: "What changes in the definition",
    PlannedAction.EDIT_ACTION: "What changes in the definition",
    PlannedAction.NEEDS_CHANGES: "What could be changed in the definition",
}
#: Why a flow stays, and what to do about it.
LEFT_WORDS: Mapping[str, tuple[str, str]] = {
    NotMigratedReason.BLOCKED: ("blocked", "fix the cause, then retry"),
    NotMigratedReason.FAILED: ("failed", "read the reason, then retry"),
    NotMigratedReason.NEEDS_CHANGES: (
        "to be changed first",
        "change the flow, then start a new remediation",
    ),
    NotMigratedReason.AWAITING_APPROVAL: ("awaiting approval", "look at the plan, then approve it"),
    NotMigratedReason.IN_PROGRESS: ("in progress", ""),
    NotMigratedReason.CANCELLED: (
        "cancelled",
        "start a new remediation that names it (--flow)",
    ),
    NotMigratedReason.ROLLED_BACK: (
        "rolled back",
        "start a new remediation that names it (--flow)",
    ),
    NotMigratedReason.OVER_FLOW_LIMIT: (
        "beyond the limit",
        "order the next remediation, or raise the limit first",
    ),
    NotMigratedReason.EXCLUDED: ("excluded", "take it out of the excluded flows, then order again"),
    NotMigratedReason.EXCLUDED_FROM_APPROVAL: (
        "left out of the approval",
        "order again and approve it",
    ),
    NotMigratedReason.APPROVAL_EXPIRED: ("not approved in time", "order again and approve it"),
    NotMigratedReason.KEY_NOT_APPLIED: ("to be copied once the key is applied", "apply the key"),
    NotMigratedReason.DRY_RUN: ("only looked at", "order it with --mode apply"),
}
_RANKS = {action: rank for rank, action in enumerate(ACTION_WORDS)}


def format_state(state: str, left: Mapping[str, int]) -> str:
    """Return the state of a remediation: `completed` alone means that every flow is migrated."""
    number = sum(left.values())
    return f"{state}, {number} not migrated" if state == "completed" and number else state


def format_not_migrated(left: Mapping[str, int]) -> list[str]:
    """Return for each reason why flows stay how many do, and what to do; for people."""
    lines = []
    for why, number in left.items():
        # A reason of a newer app has no words here.
        words, then = LEFT_WORDS.get(why, (why, ""))
        lines.append(f"{number} {words}" + (f": {then}" if then else ""))
    return lines


def plan_sort_key(*, changed: Sequence[str], action: str, title: str) -> tuple[bool, int, str]:
    """Return where an item is shown: what has changed first, then by what is done with it.

    An action of a newer app comes after those that need somebody.
    """
    return not changed, _RANKS.get(action, 1), title.lower()
