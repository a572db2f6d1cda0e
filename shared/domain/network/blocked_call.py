"""Detect calls that a firewall denied, from the runs of copies.

A denied call is recognized by Microsoft's error message, because its code varies
(platform.md#denied-calls). A firewall that drops packets causes a time-out, which may have other
causes too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.flow import FailedAction, FlowRun

_REFUSED = "actively refused it"
_TIMED_OUT = ("a connection attempt failed", "did not respond within the timeout", "timed out")
_TIMED_OUT_CODE = "actiontimedout"


class BlockedCallSymptom(StrEnum):
    """How a denied call appears in a run."""

    CONNECTION_REFUSED = "connection_refused"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedCall:
    """The row of a call by a copy that a firewall denied, or probably denied.

    It needs action until later runs of the copy succeed, or until somebody ignores it by name.
    """

    environment_id: str
    #: `*` if an expression computes the URI.
    host: str
    #: The original's display name, and the copy's Dataverse id.
    display_name: str
    copy_id: str
    action: str
    run_id: str
    #: When the run started.
    failed_at: datetime
    symptom: BlockedCallSymptom
    #: The firewall that denies the addresses and what to do; empty until it was checked.
    message: str = ""
    fix: str = ""
    #: Empty: it is resolved, and runs that started before `resolved_at` no longer count.
    reason_code: str
    resolved_at: datetime | None = None

    @property
    def checked_until(self) -> datetime:
        """Return the time up to which runs were checked. Only later runs are new."""
        return max(self.failed_at, self.resolved_at or self.failed_at)

    @property
    def name(self) -> str:
        """Return the name by which an administrator can ignore the blocked call."""
        return f"refused_call:{self.host}"

    @property
    def text(self) -> str:
        """Return in words which call was denied, when and how."""
        how = (
            "was actively refused"
            if self.symptom is BlockedCallSymptom.CONNECTION_REFUSED
            else "timed out"
        )
        where = "a host that is known only at run time" if self.host == "*" else self.host
        return (
            f"The call of {where} by '{self.action}' in the copy of {self.display_name} {how}"
            f" ({self.failed_at:%Y-%m-%d %H:%M} UTC). {self.message}".strip()
        )


def find_symptom(action: FailedAction) -> BlockedCallSymptom | None:
    """Return which symptom of a firewall a failed action shows, or None if it shows none."""
    text = action.message.lower()
    if _REFUSED in text:
        return BlockedCallSymptom.CONNECTION_REFUSED
    if action.code.lower() == _TIMED_OUT_CODE or any(one in text for one in _TIMED_OUT):
        return BlockedCallSymptom.TIMED_OUT
    return None


def group_symptoms_by_host(
    run: FlowRun, actions: Iterable[FailedAction], hosts: Mapping[str, str], runs: Sequence[FlowRun]
) -> dict[str, tuple[FailedAction, BlockedCallSymptom]]:
    """Return, for each host, a failed action with a symptom of a firewall, and the symptom.

    `hosts` contains the host that each HTTP action of the copy calls. A time-out does not count if
    the copy succeeded in a later run, because a firewall would have dropped that call too.
    """
    got_through = any(one.started_at > run.started_at and one.has_succeeded for one in runs)
    found = {}
    for action in actions:
        symptom = find_symptom(action) if action.name in hosts else None
        if symptom is BlockedCallSymptom.CONNECTION_REFUSED or (symptom and not got_through):
            found[hosts[action.name]] = (action, symptom)
    return found
