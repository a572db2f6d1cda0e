"""API: the Settings page of the dashboard."""

import azure.functions as func

from functions.dashboard.settings_page import SettingChoice, build_settings_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_requests import NoBody
from functions.http_responses import build_page_response
from functions.page_query import PageQuery, build_page_context
from functions.settings_api import SettingsQuery
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.show_settings import show_settings


class SettingsPageQuery(PageQuery, SettingsQuery):
    """Which settings the Settings page shows."""


@endpoint(role=Role.READER, media_types=(HTML,))
async def show_settings_page(call: ApiRequest[SettingsPageQuery, NoBody]) -> func.HttpResponse:
    """Return the Settings page, with the settings of the app and their problems."""
    query, found = call.query, show_settings(services())
    choice = SettingChoice(status=query.status, search=query.search)
    return build_page_response(
        build_settings_page(build_page_context(call), found, services().settings, choice)
    )
