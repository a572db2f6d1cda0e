"""API: the page of the reports of failed runs."""

import azure.functions as func

from functions.dashboard.failed_runs_page import build_failed_runs_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_requests import NoBody
from functions.http_responses import build_page_response
from functions.page_query import PageQuery, build_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.report_failed_runs import list_failed_run_reports


@endpoint(role=Role.READER, media_types=(HTML,))
async def show_failed_runs_page(call: ApiRequest[PageQuery, NoBody]) -> func.HttpResponse:
    """Return the page with the last report on failed runs of each environment."""
    reports = await list_failed_run_reports(services())
    view = build_page_context(call)
    return build_page_response(build_failed_runs_page(view, reports, services().settings.cloud))
