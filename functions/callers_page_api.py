"""API: the Callers page of the dashboard."""

import azure.functions as func

from functions.caller_lines import parse_caller_lines
from functions.dashboard.caller_file_page import build_caller_file_page
from functions.dashboard.callers_page import CallerChoice, build_callers_page
from functions.dashboard.page_layout import PageContext
from functions.declared_caller_models import CallerFileRequest
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import Count, NoBody, NoQuery, Search
from functions.http_responses import build_page_response
from functions.page_query import PageQuery, build_live_page_response, build_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.import_callers import preview_import
from shared.use_cases.show_callers import CalledFlowState, show_callers

#: Callers on a page.
_ON_PAGE = 25


class CallersPageQuery(PageQuery):
    """Which declared callers the Callers page shows."""

    #: Callers with a flow in this state.
    state: CalledFlowState | None = None
    #: Part of the name of a caller, its owner or a flow.
    search: Search = ""
    #: Number of callers before this page.
    start: Count = 0


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_callers_page(call: ApiRequest[CallersPageQuery, NoBody]) -> func.HttpResponse:
    """Return the Callers page: the declared callers, and which of them are to be confirmed."""
    query = call.query
    choice = CallerChoice(state=query.state, search=query.search, start=query.start, limit=_ON_PAGE)
    text = build_callers_page(build_page_context(call), choice, await show_callers(services()))
    return build_live_page_response(call, text)


# It changes nothing; the form of its page does.
@endpoint(role=Role.OPERATOR, media_types=(HTML,), is_recorded=False)
async def show_caller_file(call: ApiRequest[NoQuery, CallerFileRequest]) -> func.HttpResponse:
    """Return a page with what a CSV file of callers would change, and its wrong lines.

    Nothing is stored.
    """
    found = parse_caller_lines(call.body.file)
    preview = await preview_import(services(), found.lines)
    view = PageContext(principal=call.principal, now=services().now)
    return build_page_response(build_caller_file_page(view, found, preview))
