"""Test who turns an original on if the app may not."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.adapters.entra.no_service_account import NoServiceAccount
from shared.reason import Reason
from shared.use_cases.set_kill_switch import set_kill_switch
from tests.fakes.ports import Ports
from tests.functional.scenarios.cutover_scenario import build_pair, turn_kill_switch_on

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_service_account_turns_on_a_flow_that_an_application_cannot(
    *, is_stopped: bool
) -> None:
    lag = (30.0, 30.0)
    pair = await build_pair(is_outside=True, applications_activate=False, read_lag_seconds=lag)
    pair.reject_starts(pair.copy)
    await pair.run(SECOND)
    if is_stopped:
        await turn_kill_switch_on(pair)

    await pair.run(DAY)

    assert pair.on == (True, False)
    assert pair.scenario.fakes.notices.told == []
    await set_kill_switch(pair.scenario.services, is_on=False, by="tests", reason="")
    await pair.run(DAY)
    assert pair.original.co_owners == {}
    assert (await pair.scenario.read_job("Keyword")).grants.active == ()


@dataclass(frozen=True, slots=True)
class Unset:
    ports: Ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ports.flow_access, name)

    async def start(self, environment_id: str, flow_name: str) -> None:
        await NoServiceAccount().read_object_id()


async def test_fix_without_a_service_account_asks_the_owner_to_turn_the_flow_on() -> None:
    pair = await build_pair(is_outside=True, applications_activate=False)
    pair.reject_starts(pair.copy)
    earlier = pair.scenario.around
    pair.scenario.around = lambda ports: replace(
        earlier(ports), flow_access=cast("Any", Unset(ports))
    )
    pair.scenario.renew()

    await pair.run(MINUTE)

    job = await pair.scenario.read_job("Keyword")
    assert job.reason_code == Reason.BOTH_OFF
    assert "MissingUserDetails" in job.message
    assert "Have the flow's owner turn it on once" in job.fix
