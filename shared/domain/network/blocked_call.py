"""What runs of copies show where a firewall keeps their calls out.

The sentence is Microsoft's; the code beside it differs, so the text is what is looked for
(platform.md#denied-calls). A firewall that drops packets
instead shows as a time-out, which may have other causes too.
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
    """How a call that is kept out looks."""

    CONNECTION_REFUSED = "connection_refused"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedCall:
    """A call of a copy that did not get through, and what stands in its way.

    It stands until the copy's later runs get through, or somebody waives it by its name.
    """

    environment_id: str
    #: `*` where only a run knows: the action's URI is an expression.
    host: str
    #: The original's title, and the copy's Dataverse id.
    display_name: str
    copy_id: str
    action: str
    run_id: str
    #: When the run began.
    at: datetime
    symptom: BlockedCallSymptom
    #: Which firewall lacks the addresses, and what to do; filled when it was looked for.
    explanation: str = ""
    instruction: str = ""
    #: Empty: it is settled, and what began up to `settled` does not count any more.
    code: str
    settled: datetime | None = None

    @property
    def counts_from(self) -> datetime:
        """Return up to when runs are accounted for: only one that began later is news."""
        return max(self.at, self.settled or self.at)

    @property
    def name(self) -> str:
        """Return what it is waived by."""
        return f"refused_call:{self.host}"

    @property
    def text(self) -> str:
        """Return what happened, for people."""
        how = (
            "was actively refused"
            if self.symptom is BlockedCallSymptom.CONNECTION_REFUSED
            else "timed out"
        )
        where = "a host that only the run knew" if self.host == "*" else self.host
        return (
            f"The call of {where} by '{self.action}' in the copy of {self.display_name} {how}"
            f" ({self.at:%Y-%m-%d %H:%M} UTC). {self.explanation}".strip()
        )


def find_symptom(action: FailedAction) -> BlockedCallSymptom | None:
    """Return what a failed action shows of a firewall; None: it failed for another cause."""
    text = action.message.lower()
    if _REFUSED in text:
        return BlockedCallSymptom.CONNECTION_REFUSED
    if action.code.lower() == _TIMED_OUT_CODE or any(one in text for one in _TIMED_OUT):
        return BlockedCallSymptom.TIMED_OUT
    return None


def symptoms_by_host(
    run: FlowRun, actions: Iterable[FailedAction], hosts: Mapping[str, str], runs: Sequence[FlowRun]
) -> dict[str, tuple[FailedAction, BlockedCallSymptom]]:
    """Return, by host, the actions of a failed run that show a symptom.

    `hosts` are those of the copy's HTTP actions, by action. A time-out after which the copy has
    succeeded was no firewall's: that would drop the later call too.
    """
    got_through = any(one.started_at > run.started_at and one.has_succeeded for one in runs)
    found = {}
    for action in actions:
        symptom = find_symptom(action) if action.name in hosts else None
        if symptom is BlockedCallSymptom.CONNECTION_REFUSED or (symptom and not got_through):
            found[hosts[action.name]] = (action, symptom)
    return found
