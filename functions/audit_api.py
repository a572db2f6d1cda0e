"""API: the audit log."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import azure.functions as func

from functions.audit_query import AuditExportQuery, AuditFilterQuery
from functions.csv_file import CSV, build_csv
from functions.endpoints import JSON, ApiRequest, endpoint
from functions.http_headers import DIGEST
from functions.http_requests import NoBody
from functions.http_responses import ApiResponse, build_download_response, format_json
from functions.paging import PagedQuery, PageResponse
from functions.remediation_models import UnreadableRowResponse
from shared.bootstrap import services
from shared.domain.audit import AuditEntry
from shared.domain.audit_text import (
    describe_operation,
    describe_principal,
    find_audit_result,
    find_audit_target,
    format_changes,
    replace_known_ids,
)
from shared.domain.principal import PrincipalKind, Role
from shared.use_cases.read_job_index import read_environment_names
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.show_audit import AuditPage, show_audit

#: Most entries in an export, and most rows that are read for it.
MOST_EXPORTED = 10_000
_ROWS_READ = 50_000
_COLUMNS = (
    "recorded_at",
    "who",
    "action",
    "about",
    "result",
    "changes",
    "message",
    "who_id",
    "client",
    "operation",
    "target",
    "status",
    "request_body",
    "state_before",
    "state_after",
    "id",
)


class AuditQuery(AuditFilterQuery, PagedQuery):
    """Which entries of the audit log to return, and which page of them."""


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


class AuditListResponse(PageResponse[AuditEntryResponse]):
    """A page of the audit log."""

    #: Set if the page has fewer entries than `limit` because the app searches only part of the log
    #: for it: the time up to which it did. Continue with `next`.
    searched_until: datetime | None
    unreadable_rows: tuple[UnreadableRowResponse, ...]


@endpoint(role=Role.READER)
async def list_audit(call: ApiRequest[AuditQuery, NoBody]) -> AuditListResponse:
    """Return the entries of the audit log, newest first."""
    query = call.query
    found = await show_audit(services(), query.filter, limit=query.limit, after=query.after)
    return AuditListResponse.model_validate(found)


@endpoint(role=Role.READER, media_types=(CSV, JSON), answer_headers=(DIGEST,))
async def export_audit(call: ApiRequest[AuditExportQuery, NoBody]) -> func.HttpResponse:
    """Return up to 10,000 entries of the audit log as a file.

    If there are more, the name of the file contains `incomplete`, and `next` of the JSON file is
    not empty.
    """
    found = await show_audit(
        services(), call.query.filter, limit=MOST_EXPORTED, row_limit=_ROWS_READ
    )
    name = f"audit-{services().now:%Y-%m-%d}{'-incomplete' if found.next else ''}"
    if call.query.format == "json":
        content = format_json(AuditListResponse.model_validate(found)).encode()
        return build_download_response(content, JSON, f"{name}.json")
    names = await read_environment_names(services(), RowReader())
    return build_download_response(build_csv(_build_csv_rows(found, names)), CSV, f"{name}.csv")


def _build_csv_rows(found: AuditPage, names: Mapping[str, str]) -> Iterator[tuple[object, ...]]:
    yield _COLUMNS
    for one in found.items:
        yield _build_entry_row(one, names)
    for row in found.unreadable_rows:
        yield ("", "", f"Cannot read row {row.name}: {row.message}")


def _build_entry_row(one: AuditEntry, names: Mapping[str, str]) -> tuple[object, ...]:
    about = find_audit_target(one.target, one.state_after).id
    return (
        one.recorded_at.isoformat(),
        describe_principal(one.kind, one.who),
        describe_operation(one.operation, one.status),
        names.get(about, about),
        find_audit_result(one.status),
        replace_known_ids(format_changes(one.state_before, one.state_after), names),
        one.message,
        one.who_id,
        one.client,
        one.operation,
        one.target,
        one.status,
        one.request_body,
        one.state_before,
        one.state_after,
        one.id,
    )
