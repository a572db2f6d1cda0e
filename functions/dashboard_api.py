"""HTTP: the dashboard. What waits for whom, remediations, plans and flows as pages for people."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import azure.functions as func
from pydantic import Field, StringConstraints

from functions.dashboard import pages
from functions.dashboard.page_layout import PageContext, assets
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery, RequestModel, Text
from functions.http_responses import page
from functions.paging import PagedQuery
from functions.remediation_models import EnvironmentId
from shared.bootstrap import services
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.principal import Role
from shared.errors import CmkflowError, JobBlocked, NotFound
from shared.html_pages import style
from shared.use_cases import show_flow as flows
from shared.use_cases.manage_firewall_fixes import FirewallFixView, propose_fixes
from shared.use_cases.read_remediation_rows import find, reject_self_approval
from shared.use_cases.show_part import closed_flows, show_part
from shared.use_cases.show_remediation import list_remediations, show_plan, show_remediation
from shared.use_cases.show_status import show_status


class PageQuery(RequestModel):
    """What an order that led back to a page has done."""

    #: Last part of the route, and how many jobs it set going.
    done: Literal["", "approve", "cancel", "retry", "roll-back", "waivers", "repairs"] = ""
    jobs: Annotated[int, Field(ge=0)] = 0


class ListPageQuery(PageQuery, PagedQuery):
    """Which page of the list to show."""


class RemediationPageQuery(PageQuery):
    """Which flows to list."""

    #: State, or action of the plan where there is no work yet.
    state: Annotated[str, StringConstraints(pattern=r"^[a-z_]{0,40}$")] = ""
    #: Part of a title or an id.
    find: Annotated[str, StringConstraints(max_length=200)] = ""
    #: How many of them come before the page.
    start: Annotated[int, Field(ge=0)] = 0
    #: Read every flow, to say what an order to undo would do.
    undo: bool = False
    #: Name of a gap: read its firewall anew, and show what closes it for an environment.
    repair: Text | None = None
    environment: EnvironmentId | None = None


class PlanPageQuery(PageQuery):
    """Which part of a plan to show, and how."""

    environment: EnvironmentId | None = None
    only: Literal["", "awaiting", "changed"] | PlannedAction = ""
    #: A page that brings its style with it, to be sent around.
    file: bool = False


class FlowPageQuery(PageQuery):
    """What to read beside what is kept."""

    #: Read both definitions from the platform.
    compare: bool = False


@endpoint(
    role=Role.READER,
    answer=None,
    query=PageQuery,
    media_types=(HTML,),
)
async def show_status_page(call: ApiRequest[PageQuery, NoBody]) -> func.HttpResponse:
    """Return what waits for a person, and how far the tenant is."""
    return page(pages.overview_page(_view(call), await show_status(services())))


@endpoint(
    role=Role.READER,
    answer=None,
    query=ListPageQuery,
    media_types=(HTML,),
)
async def show_remediations_page(call: ApiRequest[ListPageQuery, NoBody]) -> func.HttpResponse:
    """Return a page of remediations, newest first."""
    query = call.query
    found = await list_remediations(services(), limit=query.limit, begin=query.begin)
    return page(pages.list_page(_view(call), found, query.limit))


@endpoint(
    role=Role.READER,
    answer=None,
    query=RemediationPageQuery,
    media_types=(HTML,),
)
async def show_remediation_page(
    call: ApiRequest[RemediationPageQuery, NoBody],
) -> func.HttpResponse:
    """Return one remediation: how far it is, its flows, who calls whom, what happened."""
    query = call.query
    identity, chosen = call.id.lower(), pages.FlowFilter(state=query.state, find=query.find)
    part = None if query.find or query.undo else await show_part(services(), identity)
    others = None
    if part:
        shown, found = part.shown, part.flows
        skip, take = pages.place_among(found, chosen, query.start)
        closed = await closed_flows(services(), part, query.state, skip, take)
        others = pages.Others(counts=part.closed, on_page=closed)
    else:
        shown = await show_remediation(services(), identity)
        found = tuple(await flows.show_flows(services(), shown))
    closed_by: Sequence[FirewallFixView] | CmkflowError = ()
    if query.repair and query.environment:
        try:
            closed_by = await propose_fixes(services(), query.repair, query.environment)
        except CmkflowError as err:  # the page has all else to show
            closed_by = err
    text = pages.remediation_page(
        _view(call), shown, found, chosen, closed_by, start=query.start, others=others
    )
    return page(text)


@endpoint(
    role=Role.READER,
    answer=None,
    query=PlanPageQuery,
    media_types=(HTML,),
)
async def show_plan_page(call: ApiRequest[PlanPageQuery, NoBody]) -> func.HttpResponse:
    """Return what is planned for each flow: why, every write, every caller."""
    query, identity = call.query, call.id.lower()
    plans = [
        plan
        for plan in await show_plan(services(), identity)
        if query.environment in (None, plan.environment_job.environment_id)
    ]
    view, remediation = _view(call), await find(services(), identity)
    try:
        reject_self_approval(services(), remediation, call.principal.id)
    except JobBlocked as err:
        view = replace(view, may_not_approve=err.reason)
    text = pages.plan_page(view, identity, plans, only=query.only, is_file=query.file)
    return page(text, style=style() if query.file else "")


@endpoint(
    role=Role.READER,
    answer=None,
    query=FlowPageQuery,
    media_types=(HTML,),
)
async def show_flow_page(call: ApiRequest[FlowPageQuery, NoBody]) -> func.HttpResponse:
    """Return all that is kept of one flow; its definitions are compared if that is asked for."""
    detail = await flows.show_flow(services(), call.id.lower(), call.params["flow"])
    compared: flows.DefinitionComparison | CmkflowError | None = None
    if call.query.compare and detail.flow.job:
        try:
            compared = await flows.compare(services(), detail.flow.job)
        except CmkflowError as err:  # the page has all else to show
            compared = err
    return page(pages.flow_page(_view(call), detail, compared))


@endpoint(
    role=Role.READER,
    answer=None,
    media_types=("text/css", "text/javascript", "image/svg+xml"),
)
async def show_asset(call: ApiRequest[NoQuery, NoBody]) -> func.HttpResponse:
    """Return the style sheet, the script or the icon; their names change with what is in them."""
    asset = assets().get(call.params["name"])
    if asset is None:
        raise NotFound("There is no such file: load the page again.")
    kind, text = asset
    return func.HttpResponse(
        text,
        mimetype=kind,
        charset="utf-8",
        headers={
            "Cache-Control": "private, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _view[Q: PageQuery](call: ApiRequest[Q, NoBody]) -> PageContext:
    query = call.query
    return PageContext(
        principal=call.principal, now=services().now, done=query.done, jobs=query.jobs
    )
