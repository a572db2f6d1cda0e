"""HTTP: who ordered what, and what became of it."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody
from functions.http_responses import ApiResponse
from functions.paging import PagedQuery, PageResponse
from shared.bootstrap import services
from shared.domain.principal import PrincipalKind, Role
from shared.use_cases.audit_log import show_audit


class AuditEntryResponse(ApiResponse):
    """One order."""

    id: str
    at: datetime
    who: str
    who_id: str
    kind: PrincipalKind
    source: str
    action: str
    target: str
    #: What was asked for, as JSON.
    asked: str
    #: What it is about, as JSON, before and after; empty where nothing of it is kept.
    before: str
    after: str
    #: Status of the answer; null: the order was cut off, and nobody knows.
    status: int | None
    reason: str


@endpoint(
    role=Role.READER,
    query=PagedQuery,
    answer=PageResponse[AuditEntryResponse],
)
async def list_audit(call: ApiRequest[PagedQuery, NoBody]) -> PageResponse[AuditEntryResponse]:
    """Return orders that were given over HTTP, the newest first, with what became of each."""
    found = await show_audit(services(), limit=call.query.limit, after=call.query.after)
    return PageResponse[AuditEntryResponse].model_validate(found)
