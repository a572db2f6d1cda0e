"""Define the fields that the row of every durable job has, such as its state and lease."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.state_machine import TransitionProperties
from shared.domain.leases import Lease

#: How long a write without an answer may still take effect. No source gives a limit.
UNDER_WAY = timedelta(minutes=2)
#: Number of history entries that a row keeps.
HISTORY_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """An entry of a job's history: a state or message that it got."""

    changed_at: datetime
    state: str
    message: str
    #: Requests to the platform while this was the latest entry; 0 if they were not counted.
    requests: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOrigin:
    """The trace in which a job was created."""

    #: The W3C traceparent of the operation that created it.
    traceparent: str
    began_at: datetime


@dataclass(frozen=True, kw_only=True)
class DurableJob[S: StrEnum]:
    """The part of a job's row that the job engine uses. Each kind of job adds its own fields.

    It has no slots, so that a changed row is a copy of a dictionary.
    """

    #: The properties and transitions of each state.
    states: ClassVar[Mapping[Any, TransitionProperties[Any]]]
    #: The state of a job that waits; None: it waits in its current state.
    waiting_state: ClassVar[StrEnum | None] = None
    #: The state of a blocked job, and the state after an internal error.
    blocked_state: ClassVar[StrEnum]
    failed_state: ClassVar[StrEnum]

    environment_id: str
    state: S
    #: The state in which a waiting, blocked or failed job continues.
    resume_state: S | None = None
    message: str = ""
    fix: str = ""
    #: A `Reason`, or the platform's error code.
    reason_code: str = ""
    #: When to run next; None: only when something wakes it.
    next_check_at: datetime | None = None
    #: How many messages were sent for this row; part of their ids.
    message_number: int = 0
    #: Transient errors in a row.
    consecutive_failures: int = 0
    #: Invocations in a row that ended in an internal error, or that neither completed nor stored a
    #: change.
    consecutive_crashes: int = 0
    #: How many invocations have leased the row. One with a lower number has lost it.
    fencing_token: int = 0
    #: Until when an invocation has leased the row; None: none has.
    leased_until: datetime | None = None
    #: Until when a write of an invocation that did not complete may still take effect; None: all
    #: have completed.
    in_flight_until: datetime | None = None
    #: When the lease of the last invocation that did not complete expired; None: all have
    #: completed.
    unended_at: datetime | None = None
    #: While this job was being worked on, something that it waits for changed.
    is_woken: bool = False
    history: tuple[HistoryEntry, ...] = ()
    #: None: the app recorded no traces when the job was created.
    trace: TraceOrigin | None = field(default=None, compare=False, repr=False)

    def __init_subclass__(cls) -> None:
        """Keep `dataclass` from giving each kind of job its own `__replace__`."""
        cls.__replace__ = DurableJob.__replace__  # type: ignore[method-assign]

    def __replace__(self, **changes: Any) -> Self:
        """Return a row with some fields changed. Raises `TypeError` if a field does not exist."""
        if not changes.keys() <= self.__dict__.keys():
            unknown = sorted(changes.keys() - self.__dict__.keys())
            raise TypeError(f"{type(self).__name__} has no fields {unknown}")
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__, **changes)
        return changed

    @property
    def is_inactive(self) -> bool:
        """Return whether the job is complete, or continues only after a person has acted."""
        return self.states[self.state].is_inactive

    @property
    def needs_action(self) -> bool:
        """Return whether a person has to act before the job continues."""
        return self.states[self.state].needs_action

    @property
    def step(self) -> S:
        """Return the step that the job has reached. A waiting or blocked job continues there."""
        return self.resume_state or self.state

    @property
    def state_since(self) -> datetime | None:
        """Return when the job got its current state, or None if its history does not show it."""
        since = None
        for entry in reversed(self.history):
            if entry.state != self.state:
                break
            since = entry.changed_at
        return since

    @property
    def reason_since(self) -> datetime | None:
        """Return when the job got its current state and message.

        Returns None if its history does not show it.
        """
        since = None
        for entry in reversed(self.history):
            if (entry.state, entry.message) != (self.state, self.message):
                break
            since = entry.changed_at
        return since

    @property
    def lease(self) -> Lease[int]:
        return Lease(holder=self.fencing_token, until=self.leased_until)

    def has_write_in_flight(self, now: datetime) -> bool:
        """Return whether a write of an invocation that did not complete may still take effect."""
        return self.in_flight_until is not None and self.in_flight_until > now


def bump_fencing_token[J: DurableJob[Any]](job: J, *, settles_after: timedelta) -> J:
    """Return the row without a lease, and with a new token that locks out its last holder.

    If the lease was not released, the last invocation may be suspended. It ran before its lease
    expired, and the host ends it in time, but one of its writes may still arrive until
    `settles_after` has passed since the end of the lease.
    """
    lease_ended = job.leased_until
    if lease_ended is not None:
        job = replace(
            mark_write_in_flight(job, lease_ended + settles_after), unended_at=lease_ended
        )
    return replace(job, fencing_token=job.fencing_token + 1, leased_until=None)


def mark_write_in_flight[J: DurableJob[Any]](job: J, until: datetime) -> J:
    """Return the row with a record that a write may still take effect until this time."""
    return replace(job, in_flight_until=max(until, job.in_flight_until or until))
