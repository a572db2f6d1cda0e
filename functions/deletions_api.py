"""HTTP: order the dated delete of retired originals, see how far each is, and cancel it."""

import azure.functions as func

from functions.deletion_models import (
    CandidateAnswer,
    DeletionDetail,
    DeletionRequest,
    DeletionsAnswer,
    KeepRequest,
    KeptAnswer,
)
from functions.finish_models import RunArchiveAnswer, TicketWindowAnswer
from functions.http_answers import ItemList, answers, ok
from functions.http_requests import NoQuery, caller_of, read_body, read_query, route_id
from shared.bootstrap import services
from shared.use_cases.archive_runs import show_run_archives
from shared.use_cases.order_deletions import (
    DeletionOrder,
    keep_originals,
    order_deletions,
    show_deletions,
)

blueprint = func.Blueprint()


@blueprint.route(route="remediations/{id}/deletions", methods=["GET"])
@answers
async def list_deletions(req: func.HttpRequest) -> func.HttpResponse:
    """Return the deletes, what may be ordered, and what is archived. Reads rows only."""
    read_query(req, NoQuery)
    remediation_id = route_id(req).lower()
    found = await show_deletions(services(), remediation_id)
    archived = await show_run_archives(services(), remediation_id)
    return ok(
        DeletionsAnswer(
            items=tuple(DeletionDetail.model_validate(one) for one in found.deletions),
            candidates=tuple(CandidateAnswer.model_validate(one) for one in found.candidates),
            run_archives=tuple(RunArchiveAnswer.model_validate(one) for one in archived.archives),
            ticket_windows=tuple(
                TicketWindowAnswer.model_validate(one) for one in archived.ticket_windows
            ),
        )
    )


@blueprint.route(route="remediations/{id}/deletions", methods=["POST"])
@answers
async def approve_deletions(req: func.HttpRequest) -> func.HttpResponse:
    """Schedule the delete of retired originals; whoever asks is its approver."""
    read_query(req, NoQuery)
    body = read_body(req, DeletionRequest)
    order = DeletionOrder(on=body.moment, by=caller_of(req, body.by), flow_ids=body.flows)
    scheduled = await order_deletions(services(), route_id(req).lower(), order)
    items = tuple(DeletionDetail.model_validate(one) for one in scheduled)
    return ok(ItemList[DeletionDetail](items=items), status=202)


@blueprint.route(route="remediations/{id}/deletions/cancel", methods=["POST"])
@answers
async def cancel_deletions(req: func.HttpRequest) -> func.HttpResponse:
    """Keep originals: cancel their deletes."""
    read_query(req, NoQuery)
    body = read_body(req, KeepRequest)
    by = caller_of(req, body.by)
    count = await keep_originals(services(), route_id(req).lower(), body.flows, by=by)
    return ok(KeptAnswer(cancelled=count))
