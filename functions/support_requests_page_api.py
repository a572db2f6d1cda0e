"""API: the Support requests page of the dashboard."""

import azure.functions as func

from functions.dashboard.support_requests_page import build_support_requests_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_requests import Id, NoBody
from functions.http_responses import build_page_response
from functions.page_query import PageQuery, build_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.manage_support_requests import (
    list_support_requests,
    show_support_request,
)


class SupportRequestsPageQuery(PageQuery):
    """Which support request's draft the page shows."""

    #: Id of a support request.
    request: Id | None = None


@endpoint(role=Role.READER, media_types=(HTML,))
async def show_support_requests_page(
    call: ApiRequest[SupportRequestsPageQuery, NoBody],
) -> func.HttpResponse:
    """Return the page of the support requests, with the draft of one."""
    chosen = call.query.request
    shown = await show_support_request(services(), chosen) if chosen else None
    every = await list_support_requests(services())
    return build_page_response(build_support_requests_page(build_page_context(call), every, shown))
