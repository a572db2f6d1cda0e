"""What the row of every durable job holds: how far it is, what it waits for, who works on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from shared.domain.jobs.state_machine import TransitionProperties

#: How long a write whose answer was not heard may still come about. No source says.
UNDER_WAY = timedelta(minutes=2)
#: A row keeps this many of its latest changes.
HISTORY_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One line of a job's history."""

    at: datetime
    state: str
    text: str
    #: Calls of the platform while it was the last line; 0 as well where nobody counted them.
    calls: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableJob[S: StrEnum]:
    """The part of a row that the engine reads and writes; each kind of job adds its own."""

    #: Where each state leads to, and what is true in it.
    states: ClassVar[Mapping[Any, TransitionProperties[Any]]]
    #: The state of a job that waits; None: it waits in the state it is in.
    waiting_state: ClassVar[StrEnum | None] = None
    #: A person has to do something; and: trying again did not help.
    blocked_state: ClassVar[StrEnum]
    failed_state: ClassVar[StrEnum]

    environment_id: str
    state: S
    #: Where a waiting, blocked or failed job goes on.
    resume: S | None = None
    reason: str = ""
    instruction: str = ""
    #: A `Reason`, or the code of what the platform refuses.
    code: str = ""
    #: When to look again; None: not by itself.
    due: datetime | None = None
    #: Counts the messages that were sent for this row; part of their ids.
    attempt: int = 0
    #: Transient failures in a row.
    failures: int = 0
    #: Deliveries in a row that ended in a defect, or that neither ended nor saved a change.
    crashes: int = 0
    #: Counts the deliveries that took the row: who has a lower number has lost it.
    lease_number: int = 0
    #: Until when a delivery holds the row; None: nobody does.
    lease_until: datetime | None = None
    #: Until when a delivery that did not end may still change something; None: all have ended.
    settles_at: datetime | None = None
    #: When the lease ran out of the last delivery that did not end; None: all have ended.
    unended_at: datetime | None = None
    #: Somebody changed what this job waits for while it was being worked on.
    woken: bool = False
    history: tuple[HistoryEntry, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Say whether nothing more happens by itself."""
        return self.states[self.state].is_finished

    @property
    def is_stuck(self) -> bool:
        """Say whether a person has to do something before it goes on."""
        return self.states[self.state].is_stuck

    @property
    def reached(self) -> S:
        """Return how far the work got, whatever it waits for."""
        return self.resume or self.state

    def is_held(self, now: datetime) -> bool:
        """Say whether a delivery works on the row."""
        return self.lease_until is not None and self.lease_until > now

    def is_unsettled(self, now: datetime) -> bool:
        """Say whether a delivery that did not end may still change something."""
        return self.settles_at is not None and self.settles_at > now


def bump_fencing_token[J: DurableJob[Any]](job: J, *, settles_after: timedelta) -> J:
    """Return the row held by nobody: whoever held it may not write it any more.

    If nobody gave it back, its last delivery may be frozen: it was alive before its lease ended,
    and the host ends it in time; a write of it may come about later still. Nothing more comes of
    it `settles_after` its lease.
    """
    lease_ended = job.lease_until
    if lease_ended is not None:
        job = replace(
            mark_write_in_flight(job, lease_ended + settles_after), unended_at=lease_ended
        )
    return replace(job, lease_number=job.lease_number + 1, lease_until=None)


def mark_write_in_flight[J: DurableJob[Any]](job: J, until: datetime) -> J:
    """Return the row with a write that may come about until then."""
    return replace(job, settles_at=max(until, job.settles_at or until))
