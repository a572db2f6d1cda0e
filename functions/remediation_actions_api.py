"""API: approve, cancel, retry and roll back a remediation."""

from functions.endpoints import ApiRequest, endpoint
from functions.http_headers import IF_MATCH
from functions.http_requests import NoQuery
from functions.plan_models import (
    ApproveRequest,
    UrlSecretRequest,
    UrlSecretResponse,
    build_plan_list_response,
)
from functions.remediation_models import (
    ApprovalResponse,
    CancelRequest,
    RetryRequest,
    RetryResponse,
    RollbackRequest,
    RollbackResponse,
)
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases import change_remediation
from shared.use_cases.approve_plan import ApprovalInput, approve_plans
from shared.use_cases.audit_state import read_remediation_state
from shared.use_cases.choose_url_secrets import choose_url_secrets as choose_secrets
from shared.use_cases.set_kill_switch import is_kill_switch_on
from shared.use_cases.show_remediation import show_plan


@endpoint(role=Role.APPROVER, status=202, headers=(IF_MATCH,), subject=read_remediation_state)
async def approve_remediation(call: ApiRequest[NoQuery, ApproveRequest]) -> ApprovalResponse:
    """Approve plans of a remediation, each by its version.

    `If-Match` takes the `ETag` of the plan response that the approver has seen.
    """
    body, identity = call.body, call.id.lower()
    if IF_MATCH in call.headers:
        call.require_seen_version(build_plan_list_response(await show_plan(services(), identity)))
    approval = ApprovalInput(
        versions=body.versions,
        excluded_flow_ids=body.excluded_flow_ids,
        included_flow_ids=body.choice,
        offered_flow_ids=body.offered_flow_ids,
        approved_by=call.requester_name,
        approved_by_id=call.principal.id,
    )
    approved = await approve_plans(services(), identity, approval)
    return ApprovalResponse(
        flow_count=len(approved),
        flow_names=tuple(job.environment_name or job.environment_id for job in approved),
        kill_switch_on=await is_kill_switch_on(services()),
    )


@endpoint(role=Role.APPROVER, subject=read_remediation_state)
async def choose_url_secrets(call: ApiRequest[NoQuery, UrlSecretRequest]) -> UrlSecretResponse:
    """Choose which callers of some flows refer to the flows' URL secrets, before the approval.

    Their plans get another version. Other flows follow the environment's settings.
    """
    body = call.body
    chosen = await choose_secrets(services(), call.id.lower(), body.flow_ids, body.use)
    return UrlSecretResponse.model_validate(chosen)


@endpoint(role=Role.OPERATOR, status=202, subject=read_remediation_state)
async def cancel_remediation(call: ApiRequest[NoQuery, CancelRequest]) -> RollbackResponse:
    """Cancel a remediation. Flows that have started are rolled back, and no others start."""
    done = await change_remediation.cancel(
        services(), call.id.lower(), replay=call.body.accept_replay
    )
    return RollbackResponse.model_validate(done)


@endpoint(role=Role.OPERATOR, status=202, subject=read_remediation_state)
async def retry_remediation(call: ApiRequest[NoQuery, RetryRequest]) -> RetryResponse:
    """Retry blocked and failed jobs."""
    body = call.body
    done = await change_remediation.retry(
        services(),
        call.id.lower(),
        body.flow_ids,
        code=body.reason_code or "",
        environment_id=body.environment or "",
    )
    return RetryResponse.model_validate(done)


@endpoint(role=Role.OPERATOR, status=202, subject=read_remediation_state)
async def roll_back_remediation(call: ApiRequest[NoQuery, RollbackRequest]) -> RollbackResponse:
    """Roll back some or all flows of a remediation."""
    done = await change_remediation.roll_back(
        services(), call.id.lower(), call.body.flow_ids, replay=call.body.accept_replay
    )
    return RollbackResponse.model_validate(done)
