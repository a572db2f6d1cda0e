"""HTTP: the switch that stops every write."""

from datetime import datetime

import azure.functions as func

from functions.endpoints import Call, endpoint
from functions.http_answers import Answer
from functions.http_requests import NoBody, NoQuery, Request, Text
from shared.bootstrap import services
from shared.domain.callers.records import Flag
from shared.domain.principal import Role
from shared.use_cases.switch_writes import kill_switch, set_kill_switch

blueprint = func.Blueprint()


class KillSwitchChange(Request):
    """Turns the switch."""

    on: bool
    by: Text | None = None
    reason: Text


class KillSwitchAnswer(Answer):
    """The switch as it stands; `at` is None where nobody ever touched it."""

    on: bool
    by: str = ""
    reason: str = ""
    at: datetime | None = None


@endpoint(blueprint, "GET", "kill-switch", role=Role.READER, answer=KillSwitchAnswer)
async def show_kill_switch(_call: Call[NoQuery, NoBody]) -> KillSwitchAnswer:
    """Return whether writes are stopped, by whom and why."""
    flag = await kill_switch(services())
    return _answer(flag) if flag else KillSwitchAnswer(on=False)


@endpoint(
    blueprint,
    "PUT",
    "kill-switch",
    role=Role.OPERATOR,
    body=KillSwitchChange,
    answer=KillSwitchAnswer,
)
async def turn_kill_switch(call: Call[NoQuery, KillSwitchChange]) -> KillSwitchAnswer:
    """Stop every write, or allow them again."""
    flag = await set_kill_switch(
        services(), is_on=call.body.on, by=call.by, reason=call.body.reason
    )
    return _answer(flag)


def _answer(flag: Flag) -> KillSwitchAnswer:
    return KillSwitchAnswer(on=flag.is_on, by=flag.by, reason=flag.reason, at=flag.at)
