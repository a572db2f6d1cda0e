"""What a plan does with a flow, as all who show it say it."""

from collections.abc import Sequence

from shared.domain.plans.plan_item import PlannedAction

#: In the order in which a plan is shown: what needs somebody first, what is left alone last.
ACTION_WORDS: dict[str, str] = {
    PlannedAction.BLOCKED: "a person first",
    PlannedAction.COPY: "copy",
    PlannedAction.COPY_WITH_FAMILY: "copy with its family",
    PlannedAction.SWAP: "swap for its copy",
    PlannedAction.COPY_OFF: "copy that stays off",
    PlannedAction.ADD_TO_SOLUTION: "add to a solution",
    PlannedAction.CONVERT_TRIGGER: "convert its trigger",
    PlannedAction.EDIT_ACTION: "edit its action",
    PlannedAction.ADOPT: "its job goes on",
    PlannedAction.LEAVE: "leave as it is",
}
_RANKS = {action: rank for rank, action in enumerate(ACTION_WORDS)}


def place_in_plan(*, changed: Sequence[str], action: str, title: str) -> tuple[bool, int, str]:
    """Return where an item is shown: what has changed first, then by what is done with it.

    An action of a newer app comes after those that need somebody.
    """
    return not changed, _RANKS.get(action, 1), title.lower()
