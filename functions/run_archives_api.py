"""HTTP: archive the run summaries of a remediation's originals, and see what is archived."""

from functions.endpoints import Call, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import Answer
from functions.remediation_models import FlowChoice
from functions.run_archive_models import RunArchiveAnswer, TicketWindowAnswer
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.archive_runs import RunArchives, archive_runs, show_run_archives
from shared.use_cases.audit_state import archives_state


class RunArchivesAnswer(Answer):
    """The archives of a remediation."""

    is_finished: bool
    archives: tuple[RunArchiveAnswer, ...]
    ticket_windows: tuple[TicketWindowAnswer, ...]
    #: Wait so long before asking for more; 0: ask at once.
    wait_seconds: float


@endpoint(
    role=Role.READER,
    answer=RunArchivesAnswer,
)
async def list_run_archives(call: Call[NoQuery, NoBody]) -> RunArchivesAnswer:
    """Return what is archived, and when the support's window closes. Reads rows only."""
    return _answer(await show_run_archives(services(), call.id.lower()))


@endpoint(
    role=Role.OPERATOR,
    body=FlowChoice,
    answer=RunArchivesAnswer,
    subject=archives_state,
)
async def archive_more_runs(call: Call[NoQuery, FlowChoice]) -> RunArchivesAnswer:
    """Archive a few more parts; to be asked again until `is_finished`."""
    return _answer(await archive_runs(services(), call.id.lower(), call.body.flows))


def _answer(found: RunArchives) -> RunArchivesAnswer:
    return RunArchivesAnswer(
        is_finished=found.is_finished,
        archives=tuple(RunArchiveAnswer.model_validate(one) for one in found.archives),
        ticket_windows=tuple(
            TicketWindowAnswer.model_validate(one) for one in found.ticket_windows
        ),
        wait_seconds=found.wait.total_seconds() if found.wait else 0,
    )
