"""API: the pages of the dashboard."""

from collections.abc import Sequence
from typing import Annotated, Literal

import azure.functions as func
from pydantic import StringConstraints

from functions.dashboard.diagrams import DiagramFilter
from functions.dashboard.environments import build_environments_page
from functions.dashboard.flow_lines import FlowFilter
from functions.dashboard.flow_lists import FLOWS_OF_PART, ClosedFlows, compute_closed_flows_range
from functions.dashboard.flow_page import build_flow_page
from functions.dashboard.overview import build_overview_page
from functions.dashboard.page_layout import read_assets
from functions.dashboard.remediation_history import HistoryFilter
from functions.dashboard.remediation_list import build_remediations_page
from functions.dashboard.remediation_page import RemediationPageChoice, build_remediation_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LIVE_SECTIONS
from functions.http_requests import Count, NoBody, NoQuery, Search, Text
from functions.page_query import (
    PageQuery,
    build_live_page_response,
    build_page_context,
    read_page_context,
)
from functions.paging import PagedQuery
from functions.problems import PageNotFound
from functions.remediation_models import EnvironmentId
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.errors import CmkflowError, NotFound
from shared.use_cases import show_flow as flows
from shared.use_cases.manage_firewall_fixes import FirewallFixView, propose_fixes
from shared.use_cases.read_remediation_part import (
    RemediationPart,
    read_closed_flows,
    read_remediation_part,
)
from shared.use_cases.show_environments import show_environments
from shared.use_cases.show_remediation import list_remediations, show_remediation
from shared.use_cases.show_status import show_status
from shared.validation_text import TextPattern

#: Each environment has a form for every action.
_ENVIRONMENTS_ON_PAGE = 20


class EnvironmentsPageQuery(PageQuery):
    """Which environments the Environments page shows."""

    #: Also list the environments that only the platform knows.
    all_environments: bool = False
    #: Number of environments before this page.
    start: Count = 0


class ListPageQuery(PageQuery, PagedQuery):
    """Which page of the list of remediations to show."""


class RemediationPageQuery(PageQuery):
    """Which flows, history entries and diagrams the page of a remediation shows."""

    #: A part of the flows, such as `blocked`, or the state of a job; `all`: every flow.
    state: Annotated[str, TextPattern(r"^[a-z_]{0,40}$", "Use the name of a state.")] = ""
    #: The reason code of a blocked flow; `needs_changes`: flows that need changes first.
    reason_code: Annotated[str, StringConstraints(max_length=100)] = ""
    #: Part of a flow's name or id.
    search: Search = ""
    #: Part of an owner's name, id or status, such as `disabled`. Reads every flow.
    owner: Search = ""
    #: Number of matching flows before this page.
    start: Count = 0
    #: Read every flow, so that the consequences of a rollback can be shown.
    undo: bool = False
    #: Which entries of the history to show: all, those that ask for a person (`person`), those of
    #: migrated flows (`done`), or those of environments. Reads every flow.
    history: Literal["", "all", "person", "done", "environment"] = ""
    #: Number of matching entries before the page of the history.
    history_start: Count = 0
    #: A flow whose group of dependent flows is shown alone. Reads every flow, as the next one.
    group: Annotated[str, StringConstraints(max_length=100)] = ""
    #: Number of groups of dependent flows before the page of groups.
    groups_start: Count = 0
    #: Name of a firewall issue; read its firewall again and propose a fix for `environment`.
    firewall_fix: Text | None = None
    environment: EnvironmentId | None = None

    @property
    def needs_closed_flows(self) -> bool:
        """Return whether the page shows facts of closed flows, which are otherwise only counted."""
        wide = (self.search, self.owner, self.undo, self.history, self.group, self.groups_start)
        return any(wide)

    @property
    def choice(self) -> RemediationPageChoice:
        """Return what the page shows."""
        return RemediationPageChoice(
            flows=FlowFilter(
                state=self.state,
                reason_code=self.reason_code,
                search=self.search,
                owner=self.owner,
            ),
            start=self.start,
            history=HistoryFilter(kind=self.history or "all", start=self.history_start),
            diagrams=DiagramFilter(flow_id=self.group, start=self.groups_start),
        )


class FlowPageQuery(PageQuery):
    """Whether the page of a flow compares the definitions of original and copy."""

    #: Read both definitions from the platform and compare them.
    compare: bool = False


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_status_page(call: ApiRequest[PageQuery, NoBody]) -> func.HttpResponse:
    """Return the Overview page: actions required, environments and health."""
    return build_live_page_response(
        call, build_overview_page(build_page_context(call), await show_status(services()))
    )


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_environments_page(
    call: ApiRequest[EnvironmentsPageQuery, NoBody],
) -> func.HttpResponse:
    """Return the Environments page: settings, progress and actions of each environment."""
    query = call.query
    found = await show_environments(services(), with_platform=query.all_environments)
    text = build_environments_page(
        build_page_context(call),
        found,
        start=query.start,
        limit=_ENVIRONMENTS_ON_PAGE,
        with_platform=query.all_environments,
    )
    return build_live_page_response(call, text)


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_remediations_page(call: ApiRequest[ListPageQuery, NoBody]) -> func.HttpResponse:
    """Return a page of remediations, newest first."""
    query = call.query
    found = await list_remediations(services(), limit=query.limit, begin=query.find_start_index)
    return build_live_page_response(
        call, build_remediations_page(build_page_context(call), found, query.limit)
    )


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_remediation_page(
    call: ApiRequest[RemediationPageQuery, NoBody],
) -> func.HttpResponse:
    """Return the page of one remediation."""
    query, identity, choice = call.query, call.id.lower(), call.query.choice
    part = None if query.needs_closed_flows else await read_remediation_part(services(), identity)
    others = None
    if part:
        shown, found = part.shown, part.flows
        others = ClosedFlows(
            counts=part.closed, on_page=await _read_closed_flows_on_page(part, choice)
        )
    else:
        shown = await show_remediation(services(), identity)
        found = tuple(await flows.show_flows(services(), shown))
    proposed_fixes: Sequence[FirewallFixView] | CmkflowError = ()
    if query.firewall_fix and query.environment:
        try:
            proposed_fixes = await propose_fixes(services(), query.firewall_fix, query.environment)
        except CmkflowError as err:  # the rest of the page is shown anyway
            proposed_fixes = err
    text = build_remediation_page(
        await read_page_context(call), shown, found, choice, proposed_fixes, others=others
    )
    return build_live_page_response(call, text)


@endpoint(role=Role.READER, media_types=(HTML,), headers=(LIVE_SECTIONS,))
async def show_flow_page(call: ApiRequest[FlowPageQuery, NoBody]) -> func.HttpResponse:
    """Return the page of one flow.

    With `compare`, the page compares the definitions of original and copy.
    """
    detail = await flows.show_flow(services(), call.id.lower(), call.params["flow"])
    compared: flows.DefinitionComparison | CmkflowError | None = None
    if call.query.compare and detail.flow.job:
        try:
            compared = await flows.compare_definitions(services(), detail.flow.job)
        except CmkflowError as err:  # the rest of the page is shown anyway
            compared = err
    return build_live_page_response(
        call, build_flow_page(await read_page_context(call), detail, compared)
    )


@endpoint(role=Role.READER, media_types=(HTML,))
async def show_unknown_page(_call: ApiRequest[NoQuery, NoBody]) -> func.HttpResponse:
    """Reject a URL of the dashboard that no other route has."""
    raise PageNotFound


@endpoint(role=Role.READER, media_types=("text/css", "text/javascript", "image/svg+xml"))
async def show_asset(call: ApiRequest[NoQuery, NoBody]) -> func.HttpResponse:
    """Return a style sheet, a script or the icon. Browsers keep the file, because its name contains
    a hash of it.
    """
    asset = read_assets().get(call.params["name"])
    if asset is None:
        raise NotFound("This file is out of date. Reload the page.")
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


async def _read_closed_flows_on_page(
    part: RemediationPart, choice: RemediationPageChoice
) -> list[flows.FlowView]:
    if not choice.is_list:
        return await read_closed_flows(services(), part, None, 0, FLOWS_OF_PART)
    state = choice.flows.find_closed_state()
    if state == "":
        return []
    skip, take = compute_closed_flows_range(part.flows, choice.flows, choice.start)
    return await read_closed_flows(services(), part, state, skip, take)
