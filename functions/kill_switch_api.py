"""HTTP: the switch that stops every write."""

from datetime import datetime

from functions.endpoints import Call, endpoint
from functions.http_headers import IF_MATCH
from functions.http_requests import NoBody, NoQuery, Request, Text
from functions.http_responses import Answer
from shared.bootstrap import services
from shared.domain.kill_switch import Flag
from shared.domain.principal import Role
from shared.steps.write_permission import kill_switch
from shared.use_cases.audit_state import switch_state
from shared.use_cases.set_kill_switch import set_kill_switch


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


@endpoint(role=Role.READER, answer=KillSwitchAnswer)
async def show_kill_switch(_call: Call[NoQuery, NoBody]) -> KillSwitchAnswer:
    """Return whether writes are stopped, by whom and why."""
    return _answer(await kill_switch(services()))


@endpoint(
    role=Role.OPERATOR,
    body=KillSwitchChange,
    answer=KillSwitchAnswer,
    headers=(IF_MATCH,),
    subject=switch_state,
)
async def turn_kill_switch(call: Call[NoQuery, KillSwitchChange]) -> KillSwitchAnswer:
    """Stop every write, or allow them again."""
    change = call.body
    flag = await set_kill_switch(
        services(),
        is_on=change.on,
        by=call.by,
        reason=change.reason,
        check=lambda flag: call.check_seen(_answer(flag)),
    )
    return _answer(flag)


def _answer(flag: Flag | None) -> KillSwitchAnswer:
    if flag is None:
        return KillSwitchAnswer(on=False)
    return KillSwitchAnswer(on=flag.is_on, by=flag.by, reason=flag.reason, at=flag.at)
