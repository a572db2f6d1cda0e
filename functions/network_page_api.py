"""API: the Network page of the dashboard."""

from typing import Literal

import azure.functions as func

from functions.csv_file import CSV
from functions.dashboard.network_page import FirewallChoice, build_firewalls_csv, build_network_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import Count, NoBody
from functions.http_responses import build_download_response
from functions.network_api import FirewallsQuery
from functions.page_query import PageQuery, build_live_page_response, read_page_context
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.show_network import show_network


class NetworkPageQuery(PageQuery, FirewallsQuery):
    """Which firewalls the Network page shows, and in which format."""

    #: Number of matching firewalls before this page.
    start: Count = 0
    #: Return every matching firewall as a CSV file.
    export: Literal["", "csv"] = ""


@endpoint(role=Role.READER, media_types=(HTML, CSV), headers=(LIVE_SECTIONS,))
async def show_network_page(call: ApiRequest[NetworkPageQuery, NoBody]) -> func.HttpResponse:
    """Return the Network page: changed address ranges and firewalls.

    With `export=csv`, returns the firewalls as a file.
    """
    query = call.query
    found = await show_network(services())
    choice = FirewallChoice(status=query.status, search=query.search, start=query.start)
    if query.export:
        return build_download_response(build_firewalls_csv(found, choice), CSV, "firewalls.csv")
    return build_live_page_response(
        call, build_network_page(await read_page_context(call), found, choice)
    )
