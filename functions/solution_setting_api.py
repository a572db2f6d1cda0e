"""API: the environment setting that creates new flows in a solution."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery, RequestModel, Text
from functions.http_responses import ApiResponse
from functions.principals import require_role
from shared.bootstrap import services
from shared.domain.ids import normalize_environment_id
from shared.domain.principal import Role
from shared.domain.solution_setting import SolutionSettingState
from shared.use_cases import change_solution_setting
from shared.use_cases.audit_state import read_solution_setting_change_state


class ChangeSolutionSettingRequest(RequestModel):
    """Names who changes the setting."""

    requested_by: Text | None = None


class SolutionSettingChangeResponse(ApiResponse):
    """The app's last change of the setting that creates new flows in a solution."""

    state: SolutionSettingState
    #: The value before the app turned the setting on; null: it was never set.
    former_value: bool | None
    changed_by: str
    changed_at: datetime


class SolutionSettingResponse(ApiResponse):
    """Whether an environment creates new flows in a solution."""

    environment_id: str
    #: Null: the setting was never set.
    is_on: bool | None
    #: Null: the app has not changed the setting.
    change: SolutionSettingChangeResponse | None


@endpoint(role=Role.READER)
async def show_solution_setting(call: ApiRequest[NoQuery, NoBody]) -> SolutionSettingResponse:
    """Read whether an environment creates new flows in a solution."""
    identity = normalize_environment_id(call.id)
    found = await change_solution_setting.show_solution_setting(services(), identity)
    return SolutionSettingResponse.model_validate(found)


@endpoint(role=Role.OPERATOR, subject=read_solution_setting_change_state)
async def turn_on_solution_setting(
    call: ApiRequest[NoQuery, ChangeSolutionSettingRequest],
) -> SolutionSettingResponse:
    """Turn on the setting that creates new flows in a solution.

    If the approval policy is `required`, only an approver may request it.
    """
    identity = normalize_environment_id(call.id)
    if await change_solution_setting.needs_approver(services(), identity):
        require_role(call.principal, Role.APPROVER)
    found = await change_solution_setting.turn_on_solution_setting(
        services(), identity, by=call.requester_name
    )
    return SolutionSettingResponse.model_validate(found)


@endpoint(role=Role.OPERATOR, subject=read_solution_setting_change_state)
async def revert_solution_setting(
    call: ApiRequest[NoQuery, ChangeSolutionSettingRequest],
) -> SolutionSettingResponse:
    """Restore the value that the setting had before the app changed it."""
    found = await change_solution_setting.revert_solution_setting(
        services(), normalize_environment_id(call.id), by=call.requester_name
    )
    return SolutionSettingResponse.model_validate(found)
