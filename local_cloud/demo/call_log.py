"""Record the result of every call of the demo's traffic, as the caller and the platform saw it.

A call is *lost* if it is rejected, if it is accepted but does not start exactly one run, or if its
run fails. (No original of the demo fails.) A rejected call between flows is lost, too.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]

#: Starts runs that are to fail: they show what the app makes of it (blocked_call.py).
FORESEEN = "demo-refused-call"


@dataclass(slots=True, kw_only=True)
class LoggedCall:
    """One call of an external system."""

    tracking_id: str
    caller: str
    status: int = 0
    #: Kind of the error, where no answer came.
    problem: str = ""
    is_over: bool = False
    #: The ledger was read after it was over.
    is_noted: bool = False
    #: What the platform noted under this tracking id.
    entries: list[Json] = field(default_factory=list)

    def explain_loss(self, user_agent: str) -> str:
        """Return why the call is lost, or an empty text."""
        if self.problem or not 200 <= self.status < 300:
            return f"{self.caller}: answered {self.status or self.problem}"
        own = [entry for entry in self.entries if entry["by"] == user_agent]
        if len(own) != 1:
            return f"{self.caller}: {len(own)} runs instead of one"
        failed = [entry for entry in self.entries if is_bad(entry)]
        return f"{self.caller}: {_explain_loss(failed[0])}" if failed else ""


@dataclass(slots=True, kw_only=True)
class EventTotals:
    """The events of one operation, by how many flows each event started."""

    once: int = 0
    in_the_gap: int = 0
    twice: int = 0


@dataclass(slots=True)
class TrafficCallLog:
    """All calls of the traffic."""

    calls: dict[str, LoggedCall] = field(default_factory=dict)
    #: Runs that somebody started by hand, and how they ended.
    by_hand: Counter[str] = field(default_factory=Counter)
    events: dict[str, EventTotals] = field(default_factory=dict)
    ledger_next: int = 0
    #: Calls between flows, or runs that nobody of the traffic asked for, that went wrong.
    others_lost: list[str] = field(default_factory=list)
    #: What each outside system held first, as a digest, and which hold something else now.
    held_first: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    #: Runs by what started them.
    runs: Counter[str] = field(default_factory=Counter)

    def record_call(self, call: LoggedCall) -> None:
        """Record a call before it is made."""
        self.calls[call.tracking_id] = call

    def record_held_url(self, caller: str, text: str) -> None:
        """Record whether the URL that a system is about to call differs from its first URL."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        if self.held_first.setdefault(caller, digest) == digest:
            self.moved.discard(caller)
        else:
            self.moved.add(caller)

    def record_manual_run(self, run: Json) -> None:
        """Record a run that a person started."""
        self.by_hand[run["status"]] += 1

    def record_event(self, operation: str, started: int) -> None:
        """Record an event, and how many flows it started."""
        count = self.events.setdefault(operation, EventTotals())
        match started:
            case 0:
                count.in_the_gap += 1
            case 1:
                count.once += 1
            case _:
                count.twice += 1

    def list_ended_calls(self) -> list[LoggedCall]:
        """Return the calls that have ended and whose entries are not recorded yet."""
        return [call for call in self.calls.values() if call.is_over and not call.is_noted]

    def record_entries(
        self, entries: Sequence[Json], following: int, over: Sequence[LoggedCall]
    ) -> None:
        """Record entries of the platform's call history, read after the calls `over` ended."""
        self.ledger_next = following
        for call in over:
            call.is_noted = True
        for entry in entries:
            self.runs[entry["cause"]] += 1
            if known := self.calls.get(entry["trackingId"]):
                known.entries.append(entry)
            elif is_bad(entry) and entry["by"] != FORESEEN:
                self.others_lost.append(f"{entry['by']}: {_explain_loss(entry)}")

    def count_answered(self) -> int:
        """Return how many calls were accepted."""
        return sum(200 <= call.status < 300 for call in self.calls.values())

    def list_losses(self, user_agent: str) -> list[str]:
        """Return why each lost call is lost; calls in progress are not included."""
        over = [call for call in self.calls.values() if call.is_noted]
        return [loss for call in over if (loss := call.explain_loss(user_agent))] + self.others_lost

    def count_processed_twice(self) -> int:
        """Return the number of events that original and copy both processed."""
        return sum(count.twice for count in self.events.values())


def is_bad(entry: Json) -> bool:
    """Return whether a call was rejected or its run failed."""
    return not entry["accepted"] or entry["runStatus"] == "Failed"


def _explain_loss(entry: Json) -> str:
    if not entry["accepted"]:
        return f"refused with {entry['status']} {entry['code']}"
    return "its run failed"
