"""Build scenarios in which an invocation freezes before a request and continues later."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes.driver import Driver
from tests.fakes.pause import PauseBefore
from tests.functional.scenarios.remediation_scenario import Scenario

MINUTE = timedelta(minutes=1)


class AsleepError(Exception):
    """Stops a scenario when its process is frozen."""


def make_scenario(build: Callable[[Scenario], object], **settings: object) -> Scenario:
    """Return a scenario on your key with what `build` adds and these settings. The no-call period
    is an hour.
    """
    changed = {"no_call_period": 60 * MINUTE, **settings}
    scenario = Scenario(settings=Scenario().settings.model_copy(update=changed))
    build(scenario)
    scenario.build.apply_key()
    scenario.build.share_connections()
    return scenario


async def freeze(
    scenario: Scenario, call: str, number: int = 1, *, sleeps: timedelta = 9 * MINUTE
) -> None:
    """Run a remediation until its process freezes before this request. The process continues after
    the time `sleeps`.
    """
    pause = PauseBefore(call=call, number=number, sleeps=sleeps, clock=scenario.world.clock)
    scenario.driver = Driver(fakes=scenario.fakes, make=scenario.make, plan=pause)

    def raise_if_asleep() -> None:
        if pause.is_asleep:
            raise AsleepError

    await scenario.start_remediation()
    scenario.driver.meanwhile = raise_if_asleep
    with pytest.raises(AsleepError):
        await scenario.approve()
    scenario.driver.meanwhile = list
