"""Read the query that all pages share, and build the context and response of a page."""

from dataclasses import replace
from typing import Literal

import azure.functions as func

from functions.dashboard.live_sections import select_changed_sections
from functions.dashboard.page_layout import PageContext
from functions.endpoints import ApiRequest
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import Count, NoBody, RequestModel
from functions.http_responses import build_page_response
from shared.bootstrap import services
from shared.steps.write_permission import find_kill_switch


class PageQuery(RequestModel):
    """The query of every page: the action that led to it, and the number of its flows."""

    #: Last part of the action's route, after its id.
    completed_action: Literal[
        "",
        "approve",
        "assessment",
        "cancel",
        "confirm",
        "deletions",
        "deletions-cancel",
        "filed",
        "firewall-fixes",
        "flows",
        "ignored-issues",
        "import",
        "off",
        "on",
        "remediations",
        "remove",
        "reopen",
        "retry",
        "rollback",
        "settings",
        "solution-setting",
        "solution-setting-revert",
        "url-secrets",
    ] = ""
    flow_count: Count = 0


def build_page_context[Q: PageQuery, B: RequestModel](call: ApiRequest[Q, B]) -> PageContext:
    """Return the context of a page: its reader, the time, and the action that led to it."""
    query = call.query
    return PageContext(
        principal=call.principal,
        now=services().now,
        completed_action=query.completed_action,
        flow_count=query.flow_count,
    )


async def read_page_context[Q: PageQuery, B: RequestModel](
    call: ApiRequest[Q, B],
) -> PageContext:
    """Return the context of a page, with the state of the kill switch."""
    return replace(build_page_context(call), kill_switch=await find_kill_switch(services()))


def build_live_page_response[Q: PageQuery](
    call: ApiRequest[Q, NoBody], text: str
) -> func.HttpResponse:
    """Return a page, or its changed sections if the browser has the page already."""
    known = call.headers.get(LIVE_SECTIONS)
    if known is None:
        return build_page_response(text)
    if changes := select_changed_sections(text, known):
        return build_page_response(changes)
    return func.HttpResponse(status_code=204, headers={"Cache-Control": "no-store"})
