"""Record each call of the demo's traffic, and how it ended for the caller and on the platform.

A call is *lost* if it is rejected, if it is accepted but does not start exactly one run, or if its
run fails. (No original of the demo fails.) A rejected call between flows is lost, too.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]

#: The cause of runs that fail on purpose (blocked_call.py).
FORESEEN = "demo-refused-call"


@dataclass(slots=True, kw_only=True)
class LoggedCall:
    """A call by an external system, with the platform's record of it."""

    tracking_id: str
    caller: str
    status: int = 0
    #: The kind of the error if no answer came.
    problem: str = ""
    is_over: bool = False
    #: Whether the call history was read after the call had ended.
    is_noted: bool = False
    #: The platform's entries with this tracking id.
    entries: list[Json] = field(default_factory=list)

    def explain_loss(self, user_agent: str) -> str:
        """Return why the call is lost, or an empty text if it is not.

        `user_agent` is that of the external systems.
        """
        if self.problem or not 200 <= self.status < 300:
            return f"{self.caller}: answered {self.status or self.problem}"
        own = [entry for entry in self.entries if entry["by"] == user_agent]
        if len(own) != 1:
            return f"{self.caller}: {len(own)} runs instead of one"
        failed = [entry for entry in self.entries if is_failed_call(entry)]
        return f"{self.caller}: {_explain_loss(failed[0])}" if failed else ""


@dataclass(slots=True, kw_only=True)
class EventTotals:
    once: int = 0
    in_the_gap: int = 0
    twice: int = 0


@dataclass(slots=True)
class TrafficCallLog:
    calls: dict[str, LoggedCall] = field(default_factory=dict)
    #: Runs that a person started, by their status.
    by_hand: Counter[str] = field(default_factory=Counter)
    events: dict[str, EventTotals] = field(default_factory=dict)
    ledger_next: int = 0
    #: Failed calls between flows, and other failed runs that no external system caused.
    others_lost: list[str] = field(default_factory=list)
    #: A digest of the first URL of each external system, and the systems with another one now.
    held_first: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    #: Runs by what started them.
    runs: Counter[str] = field(default_factory=Counter)

    def record_call(self, call: LoggedCall) -> None:
        self.calls[call.tracking_id] = call

    def record_held_url(self, caller: str, text: str) -> None:
        """Record whether the URL that a system stores has changed since its first call."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if self.held_first.setdefault(caller, digest) == digest:
            self.moved.discard(caller)
        else:
            self.moved.add(caller)

    def record_manual_run(self, run: Json) -> None:
        self.by_hand[run["status"]] += 1

    def record_event(self, operation: str, started: int) -> None:
        count = self.events.setdefault(operation, EventTotals())
        match started:
            case 0:
                count.in_the_gap += 1
            case 1:
                count.once += 1
            case _:
                count.twice += 1

    def list_ended_calls(self) -> list[LoggedCall]:
        """Return the ended calls that are not yet looked up in the platform's call history."""
        return [call for call in self.calls.values() if call.is_over and not call.is_noted]

    def record_entries(
        self, entries: Sequence[Json], following: int, over: Sequence[LoggedCall]
    ) -> None:
        """Assign entries of the platform's call history to calls with the same tracking id.

        The calls `over` had ended when the history was read. The next read begins at `following`.
        """
        self.ledger_next = following
        for call in over:
            call.is_noted = True
        for entry in entries:
            self.runs[entry["cause"]] += 1
            if known := self.calls.get(entry["trackingId"]):
                known.entries.append(entry)
            elif is_failed_call(entry) and entry["by"] != FORESEEN:
                self.others_lost.append(f"{entry['by']}: {_explain_loss(entry)}")

    def count_answered(self) -> int:
        return sum(200 <= call.status < 300 for call in self.calls.values())

    def list_losses(self, user_agent: str) -> list[str]:
        """Return the reason of each lost call. Calls in progress are not judged yet."""
        over = [call for call in self.calls.values() if call.is_noted]
        return [loss for call in over if (loss := call.explain_loss(user_agent))] + self.others_lost

    def count_processed_twice(self) -> int:
        """Return the number of events that started more than one flow."""
        return sum(count.twice for count in self.events.values())


def is_failed_call(entry: Json) -> bool:
    return not entry["accepted"] or entry["runStatus"] == "Failed"


def _explain_loss(entry: Json) -> str:
    if not entry["accepted"]:
        return f"refused with {entry['status']} {entry['code']}"
    return "its run failed"
