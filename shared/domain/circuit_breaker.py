"""Decide when a service counts as down, and when to try it again.

There is one circuit breaker for each service and place, such as an environment. It opens after
several unanswered requests or failing targets in a row, or if the service says that the environment
is disabled.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.reason import Reason

#: This many different targets failed in a row: the fault is the service's.
SEVERAL = 3
#: Failures that are further apart than this are not in a row.
_MAX_INTERVAL = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """The consecutive failures of a service in one place."""

    service: str
    #: An environment id or a host; empty: the service has only one place.
    endpoint: str
    #: Requests without an answer, in a row.
    unanswered_count: int = 0
    #: Different targets that requests failed for, at most `SEVERAL`.
    failing_targets: tuple[str, ...] = ()
    last_failure_at: datetime
    #: The first error of the service, or of the connection to it.
    message: str
    reason_code: Reason = Reason.SERVICE_OUTAGE
    #: Since when it is open, without a known answer; None: it is closed.
    opened_at: datetime | None = None
    #: Since when failures have followed one another. After a longer pause, it begins again: the
    #: service may have answered a process that does not know of the failures.
    failing_since: datetime | None = None
    #: When the next request may probe the service, and the delay until the probe after that.
    probe_at: datetime | None = None
    probe_interval: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailure:
    """A request that failed with a transient error."""

    #: What the request was about, such as a flow.
    target: str
    #: The service did not answer; otherwise it failed for this target.
    is_unanswered: bool
    #: The text in which the service says that the environment is disabled; empty: it does not.
    disabled: str = ""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerPolicy:
    """When a circuit breaker opens, and how often it then lets a request probe the service."""

    unanswered_limit: int
    first_interval: timedelta
    longest_interval: timedelta


def add_failure(
    breaker: CircuitBreaker, failure: RequestFailure, policy: CircuitBreakerPolicy
) -> CircuitBreaker:
    """Return the circuit breaker with one more failure, which may open it."""
    if failure.disabled:
        breaker = replace(
            breaker, message=failure.disabled, reason_code=Reason.ENVIRONMENT_DISABLED
        )
    interval = failure.at - breaker.last_failure_at
    if breaker.opened_at is not None:
        follows = interval <= max(_MAX_INTERVAL, 2 * policy.longest_interval)
        since = breaker.failing_since if follows else None
        return replace(breaker, failing_since=since or failure.at, last_failure_at=failure.at)
    if interval > _MAX_INTERVAL:
        breaker = replace(breaker, unanswered_count=0, failing_targets=())
    failing = dict.fromkeys((*breaker.failing_targets, failure.target))
    updated = replace(
        breaker,
        unanswered_count=breaker.unanswered_count + failure.is_unanswered,
        failing_targets=tuple(failing)[:SEVERAL],
        last_failure_at=failure.at,
    )
    if (
        not failure.disabled
        and updated.unanswered_count < policy.unanswered_limit
        and len(updated.failing_targets) < SEVERAL
    ):
        return updated
    return replace(
        updated,
        opened_at=failure.at,
        failing_since=failure.at,
        probe_at=failure.at + policy.first_interval,
        probe_interval=policy.first_interval,
    )


def schedule_next_probe(
    breaker: CircuitBreaker, now: datetime, policy: CircuitBreakerPolicy
) -> CircuitBreaker:
    """Return an open circuit breaker with the time of its next probe.

    Each delay is twice the last one, up to the longest allowed.
    """
    wait = min(breaker.probe_interval * 2, policy.longest_interval)
    return replace(breaker, probe_interval=wait, probe_at=now + wait)
