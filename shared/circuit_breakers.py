"""Wait for a service that is out, instead of asking it again and again.

The instances share what they know through the store. A call that gets its answer costs nothing
there: a row is looked at only by a process that has met a failure itself.
"""

from contextlib import suppress
from datetime import timedelta

from shared.domain.circuit_breaker import (
    CircuitBreaker,
    CircuitBreakerPolicy,
    RequestFailure,
    record_failure,
    schedule_next_probe,
)
from shared.domain.ids import hash_key
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    CmkflowError,
    Conflict,
    NotFound,
    ServiceOutage,
    ServiceUnavailable,
    TransientError,
)
from shared.ports import Clock
from shared.rows import StoredItem
from shared.settings import Settings
from shared.tables import Tables

#: How long after it was found to be out a service is tried for the first time.
_FIRST_TRY = timedelta(seconds=30)


async def open_circuits(tables: Tables) -> list[CircuitBreaker]:
    """Return what is known of the services that are out now."""
    return [one for one in await tables.circuit_breakers.all("circuit_breaker") if one.opened]


class CircuitBreakers:
    """The circuits of all services."""

    def __init__(self, tables: Tables, clock: Clock, settings: Settings) -> None:
        """Know of no failure yet."""
        self._table = tables.circuit_breakers
        self._clock = clock
        self._patience = CircuitBreakerPolicy(
            unanswered_limit=settings.circuit_breaker_threshold,
            first_interval=_FIRST_TRY,
            longest_interval=settings.backoff_max_delay,
        )
        #: What this process has met, by service and place.
        self._met: dict[tuple[str, str], StoredItem[CircuitBreaker]] = {}

    def calling(self, service: str, place: str, target: str) -> "_Call":
        """Make one call of a service inside; `target` says what it is about.

        Raises `ServiceOutage` instead of calling, or in the place of what was raised inside.
        """
        return _Call(self, (service, place), target)

    async def begin(self, where: tuple[str, str]) -> None:
        """Return if the service may be called."""
        if where in self._met:
            await self._pass(where)

    async def end(self, where: tuple[str, str], target: str, err: BaseException | None) -> None:
        """Note what became of a call; raises what takes the place of its error, if anything."""
        match err:
            case ServiceUnavailable():
                raise await self._failed(where, target, err) from err
            case TransientError():
                pass  # too many calls, or no right to call: says nothing of the service
            case CmkflowError() | None:
                await self._answered(where)

    async def _pass(self, where: tuple[str, str]) -> None:
        """Return if the service may be called; one caller at a time tries one that is out."""
        now, kept = self._clock.now(), self._met[where]
        if kept.item.probe_at is None:
            return
        if kept.item.probe_at <= now:
            fresh = await self._table.get(*_address(where))
            if fresh is None:
                self._met.pop(where, None)
                return
            self._met[where] = kept = fresh
        if kept.item.probe_at is None:
            return
        if kept.item.probe_at <= now:
            with suppress(Conflict):  # somebody else tries it at this moment
                probe = schedule_next_probe(kept.item, now, self._patience)
                self._met[where] = await self._table.replace(kept, probe)
                return
        raise self._out(kept.item)

    async def _failed(
        self, where: tuple[str, str], target: str, err: ServiceUnavailable
    ) -> ServiceUnavailable:
        now = self._clock.now()
        failure = RequestFailure(target=hash_key(target), is_unanswered=not err.of_object, at=now)
        unknown = CircuitBreaker(
            service=where[0], place=where[1], last_failure_at=now, reason=redact(str(err))
        )

        def worse(circuit: CircuitBreaker | None) -> CircuitBreaker:
            return record_failure(circuit or unknown, failure, self._patience)

        kept = await self._table.change(*_address(where), worse)
        assert kept is not None  # a failure always changes something
        self._met[where] = kept
        return self._out(kept.item) if kept.item.opened else err

    async def _answered(self, where: tuple[str, str]) -> None:
        kept = self._met.pop(where, None)
        if kept is not None:
            # Changed meanwhile: it failed somewhere else; who meets it next will settle it.
            with suppress(Conflict, NotFound):
                await self._table.delete(kept)

    def _out(self, circuit: CircuitBreaker) -> ServiceOutage:
        assert circuit.probe_at is not None
        name = f"{circuit.service} ({circuit.place})" if circuit.place else circuit.service
        wait = max(circuit.probe_at - self._clock.now(), self._patience.first_interval)
        return ServiceOutage(f"{name} is out: {circuit.reason}", retry_after=wait)


class _Call:
    """One call: a class, since a generator takes several times as long and a flow makes thirty."""

    __slots__ = ("_circuits", "_target", "_where")

    def __init__(self, circuits: CircuitBreakers, where: tuple[str, str], target: str) -> None:
        self._circuits = circuits
        self._where = where
        self._target = target

    async def __aenter__(self) -> None:
        await self._circuits.begin(self._where)

    async def __aexit__(
        self, _kind: type[BaseException] | None, err: BaseException | None, _stack: object
    ) -> None:
        await self._circuits.end(self._where, self._target, err)


def _address(where: tuple[str, str]) -> tuple[str, str]:
    return "circuit_breaker", hash_key(*where)
