"""API: environments and their settings."""

from functions.endpoints import ApiRequest, endpoint
from functions.environment_models import (
    EnvironmentResponse,
    EnvironmentSettingsRequest,
    FlowNameResponse,
    IgnoreIssueRequest,
    IgnoreIssueResponse,
)
from functions.http_headers import IF_MATCH
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemListResponse
from functions.paging import PagedQuery, PageResponse
from shared.bootstrap import services
from shared.domain.ids import normalize_environment_id
from shared.domain.principal import Role
from shared.errors import PreconditionFailed
from shared.use_cases import change_environment as environments
from shared.use_cases import name_flows
from shared.use_cases.audit_state import read_environment_state


@endpoint(role=Role.READER)
async def list_environments(
    call: ApiRequest[PagedQuery, NoBody],
) -> PageResponse[EnvironmentResponse]:
    """Return the environments of the tenant with their settings, ordered by id."""
    found = await environments.list_environments(services())
    ids = [one.environment.id for one in found]
    first, limit = call.query.find_start_index(ids), call.query.limit
    items = tuple(map(EnvironmentResponse.build, found[first : first + limit]))
    return PageResponse[EnvironmentResponse](
        items=items, next=items[-1].id if first + limit < len(found) else ""
    )


@endpoint(role=Role.READER)
async def show_environment(call: ApiRequest[NoQuery, NoBody]) -> EnvironmentResponse:
    """Return one environment with its settings."""
    found = await environments.show_environment(services(), normalize_environment_id(call.id))
    return EnvironmentResponse.build(found)


@endpoint(role=Role.APPROVER, headers=(IF_MATCH,), subject=read_environment_state)
async def update_environment_settings(
    call: ApiRequest[NoQuery, EnvironmentSettingsRequest],
) -> EnvironmentResponse:
    """Update settings of an environment.

    A setting that the request omits keeps its value.
    """
    return await _change_settings_of_seen_version(call)


@endpoint(role=Role.APPROVER, subject=read_environment_state)
async def change_environment_settings(
    call: ApiRequest[NoQuery, EnvironmentSettingsRequest],
) -> EnvironmentResponse:
    """Update settings of an environment as `PUT` does, for forms, which cannot send `PUT`."""
    return await _change_settings_of_seen_version(call)


async def _change_settings_of_seen_version(
    call: ApiRequest[NoQuery, EnvironmentSettingsRequest],
) -> EnvironmentResponse:
    def require_seen_version(shown: environments.EnvironmentView) -> None:
        call.require_seen_version(EnvironmentResponse.build(shown))
        if call.body.seen_version not in (None, shown.settings.version):
            raise PreconditionFailed

    found = await environments.change_environment(
        services(),
        normalize_environment_id(call.id),
        call.body.changes(),
        check=require_seen_version,
    )
    return EnvironmentResponse.build(found)


@endpoint(role=Role.READER)
async def list_flows(call: ApiRequest[NoQuery, NoBody]) -> ItemListResponse[FlowNameResponse]:
    """Return the names and ids of the flows of an environment."""
    found = await name_flows.list_flows(services(), normalize_environment_id(call.id))
    return ItemListResponse[FlowNameResponse](
        items=tuple(map(FlowNameResponse.model_validate, found))
    )


@endpoint(role=Role.APPROVER, subject=read_environment_state)
async def ignore_issue(call: ApiRequest[NoQuery, IgnoreIssueRequest]) -> IgnoreIssueResponse:
    """Ignore a firewall issue, and retry the environment's jobs that firewall issues block."""
    waiver = call.body
    retried = await environments.ignore_issue(
        services(), normalize_environment_id(call.id), waiver.issue, waiver.justification
    )
    return IgnoreIssueResponse(issue=waiver.issue, retried_count=retried)
