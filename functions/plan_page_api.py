"""API: the plan page of the dashboard, and the flows that an approver leaves out on it."""

from dataclasses import replace
from typing import Annotated, Literal

import azure.functions as func
from pydantic import ConfigDict, Field, StringConstraints

from functions.dashboard.plan_page import PlanChoice, ShownPlan, build_plan_page
from functions.endpoints import HTML, ApiRequest, endpoint
from functions.http_headers import LOCATION
from functions.http_requests import Id, NoBody, RequestModel, Search
from functions.http_responses import build_page_response
from functions.page_query import PageQuery, build_page_context, read_page_context
from functions.plan_models import Flows
from functions.remediation_models import EnvironmentId
from shared.bootstrap import services
from shared.domain.plans.plan_item import PlannedAction
from shared.domain.plans.plan_outlook import Outlook
from shared.domain.principal import Role
from shared.errors import JobBlocked
from shared.html_pages import read_style
from shared.use_cases.read_remediation_rows import get_remediation, reject_self_approval
from shared.use_cases.show_remediation import show_plan
from shared.validation_text import TextPattern


class PlanPageQuery(PageQuery):
    """Which part of a plan the page shows, and how."""

    environment: EnvironmentId | None = None
    filter: Literal["", "awaiting", "changed"] | Outlook | PlannedAction = ""
    #: Part of a flow's name, id, callers, owner or risk.
    search: Search = ""
    #: Part of an owner's name, id or status, such as `disabled`.
    owner: Search = ""
    #: Number of the page of the list of flows, from 1.
    page: Annotated[int, Field(ge=1)] = 1
    #: The flows that the approver leaves out on every page: the plan version, and one bit for each
    #: flow that awaits approval. The forms of the page build it.
    leave_out: Annotated[
        str,
        StringConstraints(max_length=4000),
        TextPattern(r"^[A-Za-z0-9._-]*$", "Open the plan from its remediation again."),
    ] = ""
    #: Return a self-contained page without buttons, to save or send.
    export: bool = False

    @property
    def choice(self) -> PlanChoice:
        """Return what the page shows."""
        return PlanChoice(
            filter=self.filter,
            search=self.search,
            owner=self.owner,
            page=self.page,
            leave_out=self.leave_out,
        )


class PlanTicksQuery(PlanPageQuery):
    """Which part of a plan to show next, after the URL has kept the ticks of this part."""

    #: Search for the text in the form, in place of the one in the address.
    find: bool = False


class PlanTicksRequest(RequestModel):
    """The flows that are ticked on one page of a plan. Other fields of the form are ignored."""

    model_config = ConfigDict(extra="ignore")

    #: Workflow ids of the ticked flows.
    included_flow_ids: Flows[Id] = ()
    #: Workflow ids of the flows to choose from; none: all flows of the plan.
    offered_flow_ids: Flows[Id] = ()
    search: Annotated[Search, Field(alias="_search")] = ""


@endpoint(role=Role.READER, media_types=(HTML,))
async def show_plan_page(call: ApiRequest[PlanPageQuery, NoBody]) -> func.HttpResponse:
    """Return the plan page of a remediation."""
    query, identity = call.query, call.id.lower()
    plans = await show_plan(services(), identity)
    view, remediation = await read_page_context(call), await get_remediation(services(), identity)
    try:
        reject_self_approval(services(), remediation, call.principal.id)
    except JobBlocked as err:
        view = replace(view, may_not_approve=err.reason)
    text = build_plan_page(
        view,
        identity,
        plans,
        query.choice,
        environment_id=query.environment or "",
        is_file=query.export,
    )
    return build_page_response(text, style=read_style() if query.export else "")


@endpoint(
    role=Role.READER, status=303, media_types=(HTML,), answer_headers=(LOCATION,), is_recorded=False
)
async def keep_plan_ticks(
    call: ApiRequest[PlanTicksQuery, PlanTicksRequest],
) -> func.HttpResponse:
    """Redirect to another part of the plan, with the flows that are not ticked in the URL. Changes
    nothing.

    The ticks are posted, because a URL may have no room for them.
    """
    query, body, identity = call.query, call.body, call.id.lower()
    location = f"/api/dashboard/remediations/{identity}/plan"
    plans = [
        plan
        for plan in await show_plan(services(), identity)
        if query.environment in (None, plan.environment_job.environment_id)
    ]
    if len(plans) == 1:
        choice = replace(query.choice, search=body.search) if query.find else query.choice
        view = build_page_context(call)
        shown = ShownPlan(view=view, remediation_id=identity, plan=plans[0], choice=choice)
        left_out = shown.compute_left_out_ids(body.included_flow_ids, body.offered_flow_ids)
        asked = f"environment={query.environment}&" if query.environment else ""
        location += f"?{asked}{shown.build_query(left_out=left_out, page=query.page)}#flows"
    return func.HttpResponse(status_code=303, headers={LOCATION: location}, mimetype=HTML)
