"""Stop sending requests to a failing service until it recovers.

All instances share the state in rows. A process reads a row only after a request that it sent has
failed, so a successful request needs no row.
"""

from contextlib import suppress
from datetime import timedelta

from shared.domain.circuit_breaker import (
    CircuitBreaker,
    CircuitBreakerPolicy,
    RequestFailure,
    add_failure,
    schedule_next_probe,
)
from shared.domain.ids import hash_key
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    Conflict,
    EnvironmentDisabled,
    NotFound,
    ServiceOutage,
    ServiceUnavailable,
    TransientError,
)
from shared.ports import Clock
from shared.reason import Reason
from shared.settings import Settings
from shared.state.rows import StoredItem
from shared.state.tables import Tables

#: Time after an outage starts until the service is first retried.
_FIRST_TRY = timedelta(seconds=30)


async def read_open_circuit_breakers(tables: Tables) -> list[CircuitBreaker]:
    return [
        one for one in await tables.circuit_breakers.read_all("circuit_breaker") if one.opened_at
    ]


class CircuitBreakers:
    """The circuit breakers of all services, as this process uses them."""

    def __init__(self, tables: Tables, clock: Clock, settings: Settings) -> None:
        self._table = tables.circuit_breakers
        self._clock = clock
        self._patience = CircuitBreakerPolicy(
            unanswered_limit=settings.circuit_breaker_threshold,
            first_interval=_FIRST_TRY,
            longest_interval=settings.backoff_max_delay,
        )
        #: The failures that this process has met, by service and place.
        self._met: dict[tuple[str, str], StoredItem[CircuitBreaker]] = {}

    def guard_request(self, service: str, place: str, target: str) -> "_GuardedRequest":
        """Return a context manager for one request to a service. `target` is what the request is
        about.

        The context manager raises `ServiceOutage` if no request may be sent now, or in place of an
        error that shows an outage.
        """
        return _GuardedRequest(self, (service, place), target)

    async def begin_request(self, where: tuple[str, str]) -> None:
        """Raise `ServiceOutage` unless a request may be sent now."""
        kept = self._met.get(where)
        if kept is None or kept.item.probe_at is None:
            return
        now = self._clock.now()
        if kept.item.probe_at <= now:
            fresh = await self._table.get(*_build_address(where))
            if fresh is None:
                self._met.pop(where, None)
                return
            self._met[where] = kept = fresh
        if kept.item.probe_at is None:
            return
        if kept.item.probe_at <= now:
            with suppress(Conflict):  # another instance is retrying it
                probe = schedule_next_probe(kept.item, now, self._patience)
                self._met[where] = await self._table.replace(kept, probe)
                return
        raise self._build_outage(kept.item)

    async def end_request(
        self, where: tuple[str, str], target: str, err: BaseException | None
    ) -> None:
        """Record the result of a request. Raises `ServiceOutage` if a failure leaves the circuit
        breaker open.
        """
        match err:
            case ServiceUnavailable():
                raise await self._record_failure(where, target, err) from err
            case TransientError():
                pass  # throttling or a missing permission is no sign of an outage
            case CmkflowError() | None:
                await self._record_success(where)

    async def _record_failure(
        self, where: tuple[str, str], target: str, err: ServiceUnavailable
    ) -> ServiceUnavailable:
        now = self._clock.now()
        text = redact(str(err))
        failure = RequestFailure(
            target=hash_key(target),
            is_unanswered=not err.of_object,
            disabled=text if isinstance(err, EnvironmentDisabled) else "",
            at=now,
        )
        unknown = CircuitBreaker(
            service=where[0], endpoint=where[1], last_failure_at=now, message=text
        )

        def with_failure(circuit: CircuitBreaker | None) -> CircuitBreaker:
            return add_failure(circuit or unknown, failure, self._patience)

        kept = await self._table.change(*_build_address(where), with_failure)
        assert kept is not None  # a failure always changes it
        self._met[where] = kept
        return self._build_outage(kept.item) if kept.item.opened_at else err

    async def _record_success(self, where: tuple[str, str]) -> None:
        kept = self._met.pop(where, None)
        if kept is not None:
            # Another instance recorded a failure; the next success closes it.
            with suppress(Conflict, NotFound):
                await self._table.delete(kept)

    def _build_outage(self, circuit: CircuitBreaker) -> ServiceOutage:
        assert circuit.probe_at is not None
        name = f"{circuit.service} ({circuit.endpoint})" if circuit.endpoint else circuit.service
        wait = max(circuit.probe_at - self._clock.now(), self._patience.first_interval)
        reason = circuit.reason_code
        text = f"{name} is not available: {circuit.message}"
        if reason is Reason.ENVIRONMENT_DISABLED:
            text = f"{reason.meaning} {circuit.message}"
        duration = circuit.last_failure_at - (circuit.failing_since or circuit.last_failure_at)
        return ServiceOutage(text, retry_after=wait, code=reason, duration=duration)


class _GuardedRequest:
    """The context manager of one request.

    It is a class, because a generator takes several times as long.
    """

    __slots__ = ("_circuits", "_target", "_where")

    def __init__(self, circuits: CircuitBreakers, where: tuple[str, str], target: str) -> None:
        self._circuits = circuits
        self._where = where
        self._target = target

    async def __aenter__(self) -> None:
        await self._circuits.begin_request(self._where)

    async def __aexit__(
        self, _kind: type[BaseException] | None, err: BaseException | None, _stack: object
    ) -> None:
        await self._circuits.end_request(self._where, self._target, err)


def _build_address(where: tuple[str, str]) -> tuple[str, str]:
    return "circuit_breaker", hash_key(*where)
