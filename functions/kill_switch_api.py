"""API: the kill switch, which stops every write of the app."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_headers import IF_MATCH
from functions.http_requests import NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse
from shared.bootstrap import services
from shared.domain.kill_switch import KillSwitch
from shared.domain.principal import Role
from shared.steps.write_permission import kill_switch
from shared.use_cases.audit_state import read_kill_switch
from shared.use_cases.set_kill_switch import set_kill_switch as set_switch


class KillSwitchRequest(RequestModel):
    """Turns the kill switch on or off."""

    on: bool
    by: Text | None = None
    reason: Text


class KillSwitchResponse(ApiResponse):
    """The state of the kill switch; `at` is null if it was never used."""

    on: bool
    by: str = ""
    reason: str = ""
    at: datetime | None = None


@endpoint(role=Role.READER, answer=KillSwitchResponse)
async def show_kill_switch(_call: ApiRequest[NoQuery, NoBody]) -> KillSwitchResponse:
    """Return the state of the kill switch."""
    return _answer(await kill_switch(services()))


@endpoint(
    role=Role.OPERATOR,
    body=KillSwitchRequest,
    answer=KillSwitchResponse,
    headers=(IF_MATCH,),
    subject=read_kill_switch,
)
async def set_kill_switch(call: ApiRequest[NoQuery, KillSwitchRequest]) -> KillSwitchResponse:
    """Turn the kill switch on or off."""
    change = call.body
    flag = await set_switch(
        services(),
        is_on=change.on,
        by=call.by,
        reason=change.reason,
        check=lambda flag: call.check_seen(_answer(flag)),
    )
    return _answer(flag)


def _answer(flag: KillSwitch | None) -> KillSwitchResponse:
    if flag is None:
        return KillSwitchResponse(on=False)
    return KillSwitchResponse(on=flag.is_on, by=flag.by, reason=flag.reason, at=flag.at)
