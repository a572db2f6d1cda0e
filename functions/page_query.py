"""Read the query of a page, and build what every page shows."""

from typing import Annotated, Literal

from pydantic import Field

from functions.dashboard.page_layout import PageContext
from functions.endpoints import ApiRequest
from functions.http_requests import NoBody, RequestModel
from shared.bootstrap import services


class PageQuery(RequestModel):
    """The action that led to this page."""

    #: Last part of the action's route.
    completed_action: Literal[
        "",
        "approve",
        "assessment",
        "cancel",
        "deletions",
        "firewall-fixes",
        "ignored-issues",
        "off",
        "on",
        "remediations",
        "retry",
        "rollback",
        "settings",
    ] = ""
    flow_count: Annotated[int, Field(ge=0)] = 0


def build_page_context[Q: PageQuery](call: ApiRequest[Q, NoBody]) -> PageContext:
    """Return the reader, the time, and the action that led to the page."""
    query = call.query
    return PageContext(
        principal=call.principal,
        now=services().now,
        completed_action=query.completed_action,
        flow_count=query.flow_count,
    )
