"""Run an action in the middle of a step."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import isasyncgen
from typing import Any, cast

from tests.fakes.ports import Ports
from tests.functional.scenarios.remediation_scenario import Scenario

type Deed = Callable[[], Awaitable[object]]


class Disturbed:
    """A wrapper of a port that runs a function once, before or after a call of one method."""

    def __init__(self, port: object, method: str, action: Deed, *, after: bool) -> None:
        self._port = port
        self._method = method
        self._deed: Deed | None = action
        self._after = after

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if name != self._method or self._deed is None:
            return attribute
        return self._disturb(attribute)

    def _disturb(self, attribute: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def call_disturbed(*arguments: Any, **named: Any) -> Any:
            action, self._deed = self._deed, None
            if action and not self._after:
                await action()
            result = attribute(*arguments, **named)
            result = result if isasyncgen(result) else await result
            if action and self._after:
                await action()
            return result

        return call_disturbed


def disturb(
    scenario: Scenario, port: str, method: str, action: Deed, *, after: bool = False
) -> None:
    """Run `action` once, before the next call of `method` of this port, or after it if `after` is
    set.
    """
    earlier = scenario.around

    def wrap_ports(ports: Ports) -> Ports:
        ports = earlier(ports)
        # This object lasts: services are built again after a kill, but the action runs only once.
        return replace(ports, **{port: disturbed})

    disturbed = cast(
        "Any",
        Disturbed(getattr(earlier(scenario.fakes.ports), port), method, action, after=after),
    )
    scenario.around = wrap_ports
    scenario.renew()
