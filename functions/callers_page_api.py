"""API: the Callers page of the dashboard."""

from typing import Annotated

import azure.functions as func
from pydantic import Field, StringConstraints

from functions.dashboard.callers_page import CallerChoice, callers_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import NoBody
from functions.page_query import PageQuery, build_live_page, build_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.show_callers import CalledFlowState, show_callers

#: Callers on a page.
_ON_PAGE = 25


class CallersPageQuery(PageQuery):
    """Which callers to show."""

    #: Callers with a flow in this state.
    state: CalledFlowState | None = None
    #: Part of the name of a caller, its owner or a flow.
    search: Annotated[str, StringConstraints(max_length=200)] = ""
    #: Number of callers before this page.
    start: Annotated[int, Field(ge=0)] = 0


@endpoint(
    role=Role.READER,
    query=CallersPageQuery,
    answer=None,
    media_types=(HTML,),
    headers=(LIVE_SECTIONS,),
)
async def show_callers_page(call: ApiRequest[CallersPageQuery, NoBody]) -> func.HttpResponse:
    """Return the page of the declared callers."""
    query = call.query
    choice = CallerChoice(state=query.state, search=query.search, start=query.start, limit=_ON_PAGE)
    text = callers_page(build_page_context(call), choice, await show_callers(services()))
    return build_live_page(call, text)
