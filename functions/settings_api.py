"""API: the settings of the app, without secrets."""

from typing import Literal

from functions.assessments_api import FindingResponse
from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, RequestModel, Search
from functions.http_responses import ApiResponse, ItemListResponse
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.show_settings import SettingStatus, select_settings, show_settings


class SettingsQuery(RequestModel):
    """Which settings to return."""

    #: Only settings with this status.
    status: Literal[""] | SettingStatus = ""
    #: Part of a setting's name or meaning.
    search: Search = ""


class SettingResponse(ApiResponse):
    """A setting with its current value and its default."""

    name: str
    #: What it does.
    meaning: str
    status: SettingStatus
    #: Empty: it has none, it is a secret, or it cannot be used.
    value: str
    default: str
    #: Whether it has a value; of a secret, this is all that is shown.
    is_set: bool
    is_secret: bool
    is_required: bool
    #: App Service sets it, so `azd env set` does not.
    is_set_by_app_service: bool
    #: Why its value cannot be used, what applies instead, and what to do; empty: it can be used.
    problem: str
    used_instead: str
    fix: str


class SettingListResponse(ItemListResponse[SettingResponse]):
    """The settings, those with a problem first, then those that differ from their default; and the
    app's build, channels and findings.
    """

    #: Identifies the deployed code: a hash of its source files.
    build: str
    #: Names of the notification channels.
    channels: tuple[str, ...]
    #: What follows from the settings and needs attention.
    findings: tuple[FindingResponse, ...]


@endpoint(role=Role.READER)
async def list_settings(call: ApiRequest[SettingsQuery, NoBody]) -> SettingListResponse:
    """Return the settings of the app. Of a secret, returns only whether it is set."""
    found = show_settings(services())
    chosen = select_settings(found.settings, call.query.status, call.query.search)
    return SettingListResponse(
        items=tuple(map(SettingResponse.model_validate, chosen)),
        build=found.build,
        channels=found.channels,
        findings=tuple(map(FindingResponse.model_validate, found.findings)),
    )
