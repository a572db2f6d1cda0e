"""API: schedule, list and cancel deletions of retired originals."""

from collections.abc import Iterable, Iterator, Mapping

import azure.functions as func

from functions.csv_file import CSV, build_csv
from functions.deletion_models import (
    CancelDeletionsRequest,
    CancelDeletionsResponse,
    DeletionDetailResponse,
    DeletionExportQuery,
    DeletionListQuery,
    DeletionListResponse,
    DeletionRequest,
    TenantDeletionListResponse,
    TenantDeletionResponse,
)
from functions.endpoints import JSON, ApiRequest, endpoint
from functions.http_headers import DIGEST
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemListResponse, build_download_response, format_json
from shared.bootstrap import services
from shared.domain.jobs.deletion import Deletion
from shared.domain.principal import Role
from shared.errors import UnreadableRow
from shared.use_cases.archive_runs import show_run_archives
from shared.use_cases.audit_state import read_remediation_state
from shared.use_cases.list_deletions import list_deletions as list_all
from shared.use_cases.schedule_deletions import DeletionInput, show_deletions
from shared.use_cases.schedule_deletions import cancel_deletions as cancel
from shared.use_cases.schedule_deletions import schedule_deletions as schedule

_COLUMNS = (
    "display_name",
    "state",
    "delete_at",
    "approved_by",
    "approved_at",
    "message",
    "next_step",
    "deleted_at",
    "restorable_until",
    "reason_code",
    "environment_name",
    "environment_id",
    "remediation_id",
    "original_id",
)


@endpoint(role=Role.READER)
async def list_deletions(call: ApiRequest[NoQuery, NoBody]) -> DeletionListResponse:
    """Return the deletions of a remediation, its deletable originals and its run archives.

    Reads stored rows only.
    """
    remediation_id = call.id.lower()
    found = await show_deletions(services(), remediation_id)
    archived = await show_run_archives(services(), remediation_id)
    return DeletionListResponse.model_validate(
        {
            "items": found.deletions,
            "deletable_originals": found.deletable_originals,
            "run_archives": archived.archives,
            "support_windows": archived.support_windows,
        }
    )


@endpoint(role=Role.APPROVER, status=202, subject=read_remediation_state)
async def schedule_deletions(
    call: ApiRequest[NoQuery, DeletionRequest],
) -> ItemListResponse[DeletionDetailResponse]:
    """Schedule the deletion of retired originals. The requester is recorded as approver."""
    order = DeletionInput(
        delete_at=call.body.requested_delete_at,
        approved_by=call.requester_name,
        approved_by_id=call.principal.id,
        flow_ids=call.body.flow_ids,
    )
    scheduled = await schedule(services(), call.id.lower(), order)
    items = tuple(DeletionDetailResponse.model_validate(one) for one in scheduled)
    return ItemListResponse[DeletionDetailResponse](items=items)


@endpoint(role=Role.OPERATOR, subject=read_remediation_state)
async def cancel_deletions(
    call: ApiRequest[NoQuery, CancelDeletionsRequest],
) -> CancelDeletionsResponse:
    """Cancel scheduled deletions of a remediation. The originals are kept."""
    count = await cancel(services(), call.id.lower(), call.body.flow_ids, by=call.requester_name)
    return CancelDeletionsResponse(cancelled_count=count)


@endpoint(role=Role.READER)
async def list_tenant_deletions(
    call: ApiRequest[DeletionListQuery, NoBody],
) -> TenantDeletionListResponse:
    """Return a page of the deletions of all remediations.

    Those that require an action come first, then the others by date.
    """
    found = await list_all(services(), call.query.filter)
    deletions = found.deletions
    first = call.query.find_start_index([one.job_id for one in deletions])
    last = first + call.query.limit
    return TenantDeletionListResponse.build(
        deletions[first:last],
        found.names,
        found.unreadable_rows,
        next_page=deletions[last - 1].job_id if last < len(deletions) else "",
    )


@endpoint(role=Role.READER, media_types=(CSV, JSON), answer_headers=(DIGEST,))
async def export_deletions(call: ApiRequest[DeletionExportQuery, NoBody]) -> func.HttpResponse:
    """Return the deletions of all remediations as a CSV or JSON file."""
    found = await list_all(services(), call.query.filter)
    name = f"deletions-{services().now:%Y-%m-%d}"
    deletions = found.deletions
    if call.query.format == "json":
        answer = TenantDeletionListResponse.build(deletions, found.names, found.unreadable_rows)
        return build_download_response(format_json(answer).encode(), JSON, f"{name}.json")
    rows = _build_csv_rows(deletions, found.names, found.unreadable_rows)
    return build_download_response(build_csv(rows), CSV, f"{name}.csv")


def _build_csv_rows(
    deletions: Iterable[Deletion], names: Mapping[str, str], unreadable: Iterable[UnreadableRow]
) -> Iterator[tuple[object, ...]]:
    yield _COLUMNS
    for deletion in deletions:
        one = TenantDeletionResponse.build(deletion, names)
        yield tuple(getattr(one, name) for name in _COLUMNS)
    for row in unreadable:
        yield (f"Cannot read row {row.name}: {row.message}",)
