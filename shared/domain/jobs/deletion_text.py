"""Describe in words what a deletion did, and what remains to do."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from shared.domain.jobs.deletion_states import DeletionState

#: Why originals are deleted at all.
WHY_DELETE = (
    "Originals that are off but not deleted may still count as protected by Microsoft's key. The "
    "warning in the admin center may remain until they are deleted."
)
#: What happens next, by state.
NEXT_STEPS: Mapping[DeletionState, str] = {
    DeletionState.SCHEDULED: (
        "On its date, the app archives the run summaries, checks everything, and deletes it."
    ),
    DeletionState.ARCHIVING: (
        "The app archives the run summaries, checks everything, and deletes it."
    ),
    DeletionState.DELETING: "The app reads back whether it is deleted.",
    DeletionState.BLOCKED: "Fix the reason, then schedule the deletion again, or cancel it.",
    DeletionState.DELETED: "Nothing to do.",
    DeletionState.CANCELLED: "The original is kept.",
}
_LISTED = {
    True: "still on the Microsoft-key list",
    False: "no longer on the Microsoft-key list",
    None: "",
}


def describe_deletion_result(
    message: str,
    notes: Iterable[str],
    *,
    restorable_until: datetime | None,
    is_on_microsoft_key_list: bool | None,
) -> str:
    """Return a deletion's message, notes and results in one line. `restorable_until` is in UTC."""
    until = f"restorable until {restorable_until:%Y-%m-%d %H:%M}" if restorable_until else ""
    parts = (message, *notes, until, _LISTED[is_on_microsoft_key_list])
    return "; ".join(part.removesuffix(".") for part in parts if part)
