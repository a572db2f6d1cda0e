"""Put the app's circuit breakers before the fakes. In the app, the HTTP client has them."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from shared.domain.environment import Environment
from shared.settings import Settings
from shared.state.circuit_breakers import CircuitBreakers
from shared.state.tables import Tables
from tests.fakes.crash import is_async_method
from tests.fakes.ports import Ports

#: Ports that are no services of the platform.
_OURS = {"clock", "store", "messages", "notices"}


def with_circuits(ports: Ports, tables: Tables, settings: Settings) -> Ports:
    """Return the ports with a circuit breaker before each."""
    circuits = CircuitBreakers(tables, ports.clock, settings)
    names = [one.name for one in fields(ports) if one.name not in _OURS]
    guarded: dict[str, Any] = {
        name: _Guarded(getattr(ports, name), circuits, name) for name in names
    }
    return replace(ports, **guarded)


class _Guarded:
    def __init__(self, port: object, circuits: CircuitBreakers, name: str) -> None:
        self._port = port
        self._circuits = circuits
        self._name = name

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute

        # Through what interrupts calls, to what is called.
        is_async = is_async_method(getattr(getattr(self._port, "_port", self._port), name))

        def call_guarded(*arguments: Any, **named: Any) -> Any:
            where = (self._name, _find_place(arguments), f"{name} {_find_first_text(arguments)}")
            if is_async:
                return self._call(where, lambda: attribute(*arguments, **named))
            result = attribute(*arguments, **named)
            return self._iterate(where, result) if inspect.isasyncgen(result) else result

        return call_guarded

    async def _call(self, where: tuple[str, str, str], call: Callable[[], Awaitable[Any]]) -> Any:
        async with self._circuits.guard_request(*where):
            return await call()

    async def _iterate(
        self, where: tuple[str, str, str], items: AsyncIterator[Any]
    ) -> AsyncIterator[Any]:
        async with self._circuits.guard_request(*where):
            async for item in items:
                yield item


def _find_place(arguments: tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else ""
    if isinstance(first, Environment):
        return first.id
    is_place = isinstance(first, str) and (len(first) == 36 or first.startswith("https://"))
    return str(first) if is_place else ""


def _find_first_text(arguments: tuple[Any, ...]) -> str:
    return "/".join(one for one in arguments if isinstance(one, str))
