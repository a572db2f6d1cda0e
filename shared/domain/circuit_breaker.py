"""When a service counts as out, and when it is asked again: one circuit a service and place.

A service is out when calls get no answer in a row, or when it fails on several things one after the
other. A fault with one thing alone is that thing's own. Any answer closes the circuit.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

#: So many different things fail in a row: it is not for any one of them.
SEVERAL = 3
#: Failures that are further apart than this are not in a row.
_MEMORY = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """What has failed at one service since its last answer."""

    service: str
    #: An environment's id or a host; empty: the service has but one place.
    place: str
    #: Calls without an answer, in a row.
    unanswered: int = 0
    #: Different things that calls failed on, at most `SEVERAL`.
    failing: tuple[str, ...] = ()
    last: datetime
    #: What the service, or the lack of it, said first.
    reason: str
    #: Since when the circuit is open; None: the service counts as well.
    opened: datetime | None = None
    #: When one call may try the service, and how long after that the next one.
    probe_at: datetime | None = None
    wait: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailure:
    """A call that failed in a way that a later one may not."""

    #: What the call was about.
    target: str
    #: The service did not answer; otherwise it failed on this thing.
    is_unanswered: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerPolicy:
    """How many calls without an answer open a circuit, and when an open one is tried."""

    unanswered: int
    first: timedelta
    longest: timedelta


def record_failure(
    circuit: CircuitBreaker, failure: RequestFailure, patience: CircuitBreakerPolicy
) -> CircuitBreaker:
    """Return the circuit with one more failure, open if that was one too many."""
    if circuit.opened is not None:
        return replace(circuit, last=failure.at)
    if failure.at - circuit.last > _MEMORY:
        circuit = replace(circuit, unanswered=0, failing=())
    failing = dict.fromkeys((*circuit.failing, failure.target))
    noted = replace(
        circuit,
        unanswered=circuit.unanswered + failure.is_unanswered,
        failing=tuple(failing)[:SEVERAL],
        last=failure.at,
    )
    if noted.unanswered < patience.unanswered and len(noted.failing) < SEVERAL:
        return noted
    return replace(
        noted, opened=failure.at, probe_at=failure.at + patience.first, wait=patience.first
    )


def schedule_next_probe(
    circuit: CircuitBreaker, now: datetime, patience: CircuitBreakerPolicy
) -> CircuitBreaker:
    """Return an open circuit whose service is being tried: the next try comes twice as late."""
    wait = min(circuit.wait * 2, patience.longest)
    return replace(circuit, wait=wait, probe_at=now + wait)
