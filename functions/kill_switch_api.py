"""API: the kill switch, which stops the app's writes."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_headers import IF_MATCH
from functions.http_requests import NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse
from shared.bootstrap import services
from shared.domain.kill_switch import KillSwitch
from shared.domain.principal import Role
from shared.steps.write_permission import find_kill_switch
from shared.use_cases.audit_state import read_kill_switch
from shared.use_cases.set_kill_switch import set_kill_switch as set_switch


class KillSwitchChangeRequest(RequestModel):
    """Says why the kill switch is turned on or off, and by whom."""

    changed_by: Text | None = None
    justification: Text


class KillSwitchRequest(KillSwitchChangeRequest):
    """Turns the kill switch on or off, with the reason."""

    is_on: bool


class KillSwitchResponse(ApiResponse):
    """The state of the kill switch. `changed_at` is null if nobody has used it."""

    is_on: bool
    changed_by: str = ""
    justification: str = ""
    changed_at: datetime | None = None


@endpoint(role=Role.READER)
async def show_kill_switch(_call: ApiRequest[NoQuery, NoBody]) -> KillSwitchResponse:
    """Return the state of the kill switch."""
    return _build_kill_switch_response(await find_kill_switch(services()))


@endpoint(role=Role.OPERATOR, headers=(IF_MATCH,), subject=read_kill_switch)
async def set_kill_switch(call: ApiRequest[NoQuery, KillSwitchRequest]) -> KillSwitchResponse:
    """Turn the kill switch on or off."""
    change = call.body
    return await _change_kill_switch(call, is_on=change.is_on, reason=change.justification)


@endpoint(role=Role.OPERATOR, subject=read_kill_switch)
async def turn_kill_switch_on(
    call: ApiRequest[NoQuery, KillSwitchChangeRequest],
) -> KillSwitchResponse:
    """Turn the kill switch on, so that the app writes nothing, except to turn on a flow that a
    cutover left off.
    """
    return await _change_kill_switch(call, is_on=True, reason=call.body.justification)


@endpoint(role=Role.OPERATOR, subject=read_kill_switch)
async def turn_kill_switch_off(
    call: ApiRequest[NoQuery, KillSwitchChangeRequest],
) -> KillSwitchResponse:
    """Turn the kill switch off. The app then continues its work."""
    return await _change_kill_switch(call, is_on=False, reason=call.body.justification)


async def _change_kill_switch[B: RequestModel](
    call: ApiRequest[NoQuery, B], *, is_on: bool, reason: str
) -> KillSwitchResponse:
    flag = await set_switch(
        services(),
        is_on=is_on,
        by=call.requester_name,
        reason=reason,
        check=lambda flag: call.require_seen_version(_build_kill_switch_response(flag)),
    )
    return _build_kill_switch_response(flag)


def _build_kill_switch_response(flag: KillSwitch | None) -> KillSwitchResponse:
    if flag is None:
        return KillSwitchResponse(is_on=False)
    return KillSwitchResponse.model_validate(flag)
