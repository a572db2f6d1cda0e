"""API: start remediations, and read their progress and plans."""

import uuid

import azure.functions as func

from functions.endpoints import HTML, JSON, ApiRequest, endpoint
from functions.http_headers import IDEMPOTENCY_KEY, LOCATION
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemListResponse, build_json_response
from functions.plan_models import PlanQuery, PlanResponse, build_plan_list_response
from functions.problems import BadRequest, FieldError
from functions.remediation_models import (
    RemediationDetailQuery,
    RemediationDetailResponse,
    RemediationListResponse,
    RemediationQuery,
    RemediationResponse,
    StartRemediationRequest,
)
from shared.bootstrap import services
from shared.domain.plans.remediation import Remediation, StartSource
from shared.domain.principal import Role
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.use_cases import show_remediation as shown
from shared.use_cases.audit_state import read_new_remediation
from shared.use_cases.start_remediation import (
    choose_form_idempotency_key,
    resolve_workflow_ids,
    start_manual_remediation,
)

_LONGEST_KEY = 200


@endpoint(
    role=Role.OPERATOR,
    answer=RemediationResponse,
    status=202,
    headers=(IDEMPOTENCY_KEY,),
    answer_headers=(LOCATION,),
    subject=read_new_remediation,
)
async def start_remediation(
    call: ApiRequest[NoQuery, StartRemediationRequest],
) -> func.HttpResponse:
    """Start a remediation.

    Requests with the same `Idempotency-Key` start only one.
    """
    body = call.body
    started = await start_manual_remediation(
        services(),
        Remediation(
            created_at=services().now,
            mode=body.mode,
            start_source=StartSource.API_REQUEST,
            idempotency_key=await _choose_idempotency_key(call),
            environment_ids=body.environment_ids,
            flow_ids=body.flow_ids,
            compare_all_flows=body.compare_all_flows,
            started_by=call.principal.name,
            started_by_id=call.principal.id,
        ),
    )
    flows = tuple(one.lower() for one in body.flow_ids)
    if flows != started.flow_ids:  # an earlier request with this key may have given names
        flows = await resolve_workflow_ids(services(), started.environment_ids, body.flow_ids)
    _require_same_request(body, flows, started)
    location = f"/api/remediations/{started.id}"
    answer = RemediationResponse.model_validate(started)
    return build_json_response(answer, status=202, headers={LOCATION: location})


@endpoint(role=Role.READER)
async def list_remediations(call: ApiRequest[RemediationQuery, NoBody]) -> RemediationListResponse:
    """Return a page of remediations, newest first."""
    query = call.query

    def matches_query(item: shown.RemediationView) -> bool:
        return (
            query.environment in (None, *item.remediation.environment_ids)
            and query.mode in (None, item.remediation.mode)
            and query.start_source in (None, item.remediation.start_source)
            and query.state in (None, *item.progress.states)
        )

    is_filtered = any((query.environment, query.mode, query.start_source, query.state))
    # If the remediation named by `after` no longer matches the filter, the next page still starts
    # behind it.
    found = await shown.list_remediations(
        services(),
        limit=query.limit,
        begin=query.find_start_index,
        takes=matches_query if is_filtered else None,
    )
    return RemediationListResponse.model_validate(found)


@endpoint(role=Role.READER)
async def show_remediation(
    call: ApiRequest[RemediationDetailQuery, NoBody],
) -> RemediationDetailResponse:
    """Return a remediation, its progress and its jobs."""
    found = (await shown.show_remediation(services(), call.id.lower())).filter_by_owner(
        call.query.owner or ""
    )
    detail = RemediationDetailResponse.model_validate(found)
    return detail if call.query.include_history else detail.without_history()


@endpoint(role=Role.READER, answer=ItemListResponse[PlanResponse], media_types=(JSON, HTML))
async def show_plan(
    call: ApiRequest[PlanQuery, NoBody],
) -> ItemListResponse[PlanResponse] | func.HttpResponse:
    """Return the plans of a remediation: each flow with its planned changes and callers.

    A browser gets an HTML page.
    """
    query, identity = call.query, call.id.lower()
    plans = await shown.show_plan(services(), identity)
    found = [
        plan for plan in plans if query.environment in (None, plan.environment_job.environment_id)
    ]
    if query.format == "html" or (query.format is None and call.media_type == HTML):
        asked = f"?environment={query.environment}" if query.environment else ""
        there = f"/api/dashboard/remediations/{identity}/plan{asked}"
        return func.HttpResponse(status_code=302, headers={"Location": there})
    return build_plan_list_response(found, query.owner or "")


async def _choose_idempotency_key(call: ApiRequest[NoQuery, StartRemediationRequest]) -> str:
    """Return the request's idempotency key, or a new one. A form gets the key of an equal form of
    the last hour, so that a second click starts nothing.
    """
    key = call.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        start = call.principal.name or "request"
        if not call.is_form:
            return f"{start} {uuid.uuid4()}"
        sent = f"{call.principal.id} {start} {call.body.model_dump_json()}"
        return await choose_form_idempotency_key(services(), start, sent)
    key = key.strip()
    if not 0 < len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()):
        text = f"Use 1 to {_LONGEST_KEY} printable ASCII characters."
        raise BadRequest(
            "The request has an invalid header.", [FieldError(field=IDEMPOTENCY_KEY, message=text)]
        )
    return redact(key)  # the key is stored in rows


def _require_same_request(
    body: StartRemediationRequest, flows: tuple[str, ...], started: Remediation
) -> None:
    """Raise `JobBlocked` if the idempotency key was used for a different request before."""
    asked = (body.mode, body.environment_ids, flows, body.compare_all_flows)
    there = (started.mode, started.environment_ids, started.flow_ids, started.compare_all_flows)
    if asked != there:
        raise JobBlocked(
            f"This {IDEMPOTENCY_KEY} was used for a different request, which started {started.id}.",
            code=Reason.IDEMPOTENCY_KEY_REUSED,
        )
