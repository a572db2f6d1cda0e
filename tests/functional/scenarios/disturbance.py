"""Lets something happen in the middle of a step: an edit by somebody else, an order, a switch."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import isasyncgen
from typing import Any, cast

from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario

type Deed = Callable[[], Awaitable[object]]


class Disturbed:
    """Stands before a port: before or after the next call of one method, a deed is done once."""

    def __init__(self, port: object, method: str, deed: Deed, *, after: bool) -> None:
        """Do `deed` at the next call of `method`."""
        self._port = port
        self._method = method
        self._deed: Deed | None = deed
        self._after = after

    def __getattr__(self, name: str) -> Any:
        """Return the port's own attribute, or the disturbed method."""
        attribute = getattr(self._port, name)
        if name != self._method or self._deed is None:
            return attribute
        return self._disturbed(attribute)

    def _disturbed(self, attribute: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def method(*arguments: Any, **named: Any) -> Any:
            deed, self._deed = self._deed, None
            if deed and not self._after:
                await deed()
            result = attribute(*arguments, **named)
            result = result if isasyncgen(result) else await result
            if deed and self._after:
                await deed()
            return result

        return method


def disturb(scenario: Scenario, port: str, method: str, deed: Deed, *, after: bool = False) -> None:
    """Let `deed` happen at the next call of `method`; `port` is a field of `Ports`."""
    earlier = scenario.around

    def around(ports: Ports) -> Ports:
        ports = earlier(ports)
        # One that lasts: services are made anew after a kill, the deed is done only once.
        return replace(ports, **{port: disturbed})

    disturbed = cast(
        "Any",
        Disturbed(getattr(earlier(scenario.fakes.ports), port), method, deed, after=after),
    )
    scenario.around = around
    scenario.renew()
