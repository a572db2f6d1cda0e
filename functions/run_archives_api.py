"""HTTP: archive the run summaries of a remediation's originals, and see what is archived."""

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from functions.remediation_models import FlowSelection
from functions.run_archive_models import RunArchiveResponse, SupportWindowResponse
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.archive_runs import RunArchiveStatus, show_run_archives
from shared.use_cases.archive_runs import archive_runs as archive
from shared.use_cases.audit_state import archives_state


class RunArchiveListResponse(ApiResponse):
    """The archives of a remediation."""

    is_finished: bool
    archives: tuple[RunArchiveResponse, ...]
    ticket_windows: tuple[SupportWindowResponse, ...]
    #: Wait so long before asking for more; 0: ask at once.
    wait_seconds: float


@endpoint(
    role=Role.READER,
    answer=RunArchiveListResponse,
)
async def list_run_archives(call: ApiRequest[NoQuery, NoBody]) -> RunArchiveListResponse:
    """Return what is archived, and when the support's window closes. Reads rows only."""
    return _answer(await show_run_archives(services(), call.id.lower()))


@endpoint(
    role=Role.OPERATOR,
    body=FlowSelection,
    answer=RunArchiveListResponse,
    subject=archives_state,
)
async def archive_runs(call: ApiRequest[NoQuery, FlowSelection]) -> RunArchiveListResponse:
    """Archive a few more parts; to be asked again until `is_finished`."""
    return _answer(await archive(services(), call.id.lower(), call.body.flows))


def _answer(found: RunArchiveStatus) -> RunArchiveListResponse:
    return RunArchiveListResponse(
        is_finished=found.is_finished,
        archives=tuple(RunArchiveResponse.model_validate(one) for one in found.archives),
        ticket_windows=tuple(
            SupportWindowResponse.model_validate(one) for one in found.ticket_windows
        ),
        wait_seconds=found.wait.total_seconds() if found.wait else 0,
    )
