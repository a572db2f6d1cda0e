"""HTTP: order the dated delete of retired originals, see how far each is, and cancel it."""

from functions.deletion_models import (
    CandidateAnswer,
    DeletionDetail,
    DeletionRequest,
    DeletionsAnswer,
    KeepRequest,
    KeptAnswer,
)
from functions.endpoints import Call, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemList
from functions.run_archive_models import RunArchiveAnswer, TicketWindowAnswer
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.archive_runs import show_run_archives
from shared.use_cases.audit_state import remediation_state
from shared.use_cases.schedule_deletions import (
    DeletionOrder,
    keep_originals,
    order_deletions,
    show_deletions,
)


@endpoint(role=Role.READER, answer=DeletionsAnswer)
async def list_deletions(call: Call[NoQuery, NoBody]) -> DeletionsAnswer:
    """Return the deletes, what may be ordered, and what is archived. Reads rows only."""
    remediation_id = call.id.lower()
    found = await show_deletions(services(), remediation_id)
    archived = await show_run_archives(services(), remediation_id)
    return DeletionsAnswer(
        items=tuple(DeletionDetail.model_validate(one) for one in found.deletions),
        candidates=tuple(CandidateAnswer.model_validate(one) for one in found.candidates),
        run_archives=tuple(RunArchiveAnswer.model_validate(one) for one in archived.archives),
        ticket_windows=tuple(
            TicketWindowAnswer.model_validate(one) for one in archived.ticket_windows
        ),
    )


@endpoint(
    role=Role.APPROVER,
    body=DeletionRequest,
    answer=ItemList[DeletionDetail],
    status=202,
    subject=remediation_state,
)
async def approve_deletions(call: Call[NoQuery, DeletionRequest]) -> ItemList[DeletionDetail]:
    """Schedule the delete of retired originals; whoever asks is its approver."""
    order = DeletionOrder(
        on=call.body.moment, by=call.by, by_id=call.principal.id, flow_ids=call.body.flows
    )
    scheduled = await order_deletions(services(), call.id.lower(), order)
    items = tuple(DeletionDetail.model_validate(one) for one in scheduled)
    return ItemList[DeletionDetail](items=items)


@endpoint(
    role=Role.OPERATOR,
    body=KeepRequest,
    answer=KeptAnswer,
    subject=remediation_state,
)
async def cancel_deletions(call: Call[NoQuery, KeepRequest]) -> KeptAnswer:
    """Keep originals: cancel their deletes."""
    count = await keep_originals(services(), call.id.lower(), call.body.flows, by=call.by)
    return KeptAnswer(cancelled=count)
