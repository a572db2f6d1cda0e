"""API: archive the run history of a remediation's originals."""

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from functions.original_models import RunArchiveResponse, SupportWindowResponse
from functions.remediation_models import FlowSelection
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.archive_runs import RunArchiveStatus, show_run_archives
from shared.use_cases.archive_runs import archive_runs as archive
from shared.use_cases.audit_state import read_archives_state


class RunArchiveListResponse(ApiResponse):
    """The run archives of a remediation, whether they are complete, and its support windows."""

    is_completed: bool
    archives: tuple[RunArchiveResponse, ...]
    support_windows: tuple[SupportWindowResponse, ...]
    #: Seconds to wait before the next request; 0 for no wait.
    retry_after_seconds: float


@endpoint(role=Role.READER)
async def list_run_archives(call: ApiRequest[NoQuery, NoBody]) -> RunArchiveListResponse:
    """Return the run archives of a remediation, and the end of each support window.

    Reads stored rows only.
    """
    return _build_archive_list_response(await show_run_archives(services(), call.id.lower()))


@endpoint(role=Role.OPERATOR, subject=read_archives_state)
async def archive_runs(call: ApiRequest[NoQuery, FlowSelection]) -> RunArchiveListResponse:
    """Archive the next part of the run history.

    Repeat the request until `is_completed` is true.
    """
    return _build_archive_list_response(
        await archive(services(), call.id.lower(), call.body.flow_ids)
    )


def _build_archive_list_response(found: RunArchiveStatus) -> RunArchiveListResponse:
    return RunArchiveListResponse(
        is_completed=found.is_completed,
        archives=tuple(RunArchiveResponse.model_validate(one) for one in found.archives),
        support_windows=tuple(
            SupportWindowResponse.model_validate(one) for one in found.support_windows
        ),
        retry_after_seconds=found.retry_after.total_seconds() if found.retry_after else 0,
    )
