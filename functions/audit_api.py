"""API: the audit log."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody
from functions.http_responses import ApiResponse
from functions.paging import PagedQuery, PageResponse
from shared.bootstrap import services
from shared.domain.principal import PrincipalKind, Role
from shared.use_cases.audit_log import show_audit


class AuditEntryResponse(ApiResponse):
    """One entry of the audit log: a request that changed something or was rejected."""

    id: str
    recorded_at: datetime
    who: str
    who_id: str
    kind: PrincipalKind
    client: str
    operation: str
    target: str
    #: The request body, as JSON.
    request_body: str
    #: The state of the target before and after, as JSON; empty if none is stored.
    state_before: str
    state_after: str
    #: HTTP status of the response; null if the request was interrupted and its result is unknown.
    status: int | None
    message: str


@endpoint(
    role=Role.READER,
    query=PagedQuery,
    answer=PageResponse[AuditEntryResponse],
)
async def list_audit(call: ApiRequest[PagedQuery, NoBody]) -> PageResponse[AuditEntryResponse]:
    """Return the entries of the audit log, newest first."""
    found = await show_audit(services(), limit=call.query.limit, after=call.query.after)
    return PageResponse[AuditEntryResponse].model_validate(found)
