"""HTTP: what an administrator decides about a remediation: approve, cancel, retry, roll back."""

import azure.functions as func

from functions.http_answers import answers, ok
from functions.http_requests import NoQuery, caller_of, read_body, read_query, route_id
from functions.plan_models import ApprovalOrder
from functions.remediation_models import (
    CancelOrder,
    FlowChoice,
    OrderAnswer,
    RollBackOrder,
    SteeredAnswer,
    UndoAnswer,
)
from shared.bootstrap import services
from shared.use_cases import steer_remediation
from shared.use_cases.approve_plan import Approval, approve

blueprint = func.Blueprint()


@blueprint.route(route="remediations/{id}/approve", methods=["POST"])
@answers
async def approve_remediation(req: func.HttpRequest) -> func.HttpResponse:
    """Approve plans of a remediation by the version that was shown."""
    read_query(req, NoQuery)
    body = read_body(req, ApprovalOrder)
    approval = Approval(
        versions=body.versions, except_flows=body.except_flows, by=caller_of(req, body.by)
    )
    approved = await approve(services(), route_id(req).lower(), approval)
    return ok(OrderAnswer(jobs=len(approved)), status=202)


@blueprint.route(route="remediations/{id}/cancel", methods=["POST"])
@answers
async def cancel_remediation(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel what has not been done; what has begun is rolled back."""
    read_query(req, NoQuery)
    body = read_body(req, CancelOrder)
    done = await steer_remediation.cancel(services(), route_id(req).lower(), replay=body.replay)
    return ok(UndoAnswer.model_validate(done), status=202)


@blueprint.route(route="remediations/{id}/retry", methods=["POST"])
@answers
async def retry_remediation(req: func.HttpRequest) -> func.HttpResponse:
    """Go on with blocked and failed jobs."""
    read_query(req, NoQuery)
    flows = read_body(req, FlowChoice).flows
    done = await steer_remediation.retry(services(), route_id(req).lower(), flows)
    return ok(SteeredAnswer.model_validate(done), status=202)


@blueprint.route(route="remediations/{id}/roll-back", methods=["POST"])
@answers
async def roll_back_remediation(req: func.HttpRequest) -> func.HttpResponse:
    """Undo the jobs of some or all flows."""
    read_query(req, NoQuery)
    body = read_body(req, RollBackOrder)
    done = await steer_remediation.roll_back(
        services(), route_id(req).lower(), body.flows, replay=body.replay
    )
    return ok(UndoAnswer.model_validate(done), status=202)
