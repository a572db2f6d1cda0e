"""HTTP: archive the run summaries of a remediation's originals, and see what is archived."""

import azure.functions as func

from functions.finish_models import RunArchiveAnswer, TicketWindowAnswer
from functions.http_answers import Answer, answers, ok
from functions.http_requests import NoQuery, read_body, read_query, route_id
from functions.remediation_models import FlowChoice
from shared.bootstrap import services
from shared.use_cases.archive_runs import RunArchives, archive_runs, show_run_archives

blueprint = func.Blueprint()


class RunArchivesAnswer(Answer):
    """The archives of a remediation."""

    is_finished: bool
    archives: tuple[RunArchiveAnswer, ...]
    ticket_windows: tuple[TicketWindowAnswer, ...]
    #: Wait so long before asking for more; 0: ask at once.
    wait_seconds: float


@blueprint.route(route="remediations/{id}/run-archives", methods=["GET"])
@answers
async def list_run_archives(req: func.HttpRequest) -> func.HttpResponse:
    """Return what is archived, and when the support's window closes. Reads rows only."""
    read_query(req, NoQuery)
    return ok(_answer(await show_run_archives(services(), route_id(req).lower())))


@blueprint.route(route="remediations/{id}/run-archives", methods=["POST"])
@answers
async def archive_more_runs(req: func.HttpRequest) -> func.HttpResponse:
    """Archive a few more parts; to be asked again until `is_finished`."""
    read_query(req, NoQuery)
    flows = read_body(req, FlowChoice).flows
    return ok(_answer(await archive_runs(services(), route_id(req).lower(), flows)))


def _answer(found: RunArchives) -> RunArchivesAnswer:
    return RunArchivesAnswer(
        is_finished=found.is_finished,
        archives=tuple(RunArchiveAnswer.model_validate(one) for one in found.archives),
        ticket_windows=tuple(
            TicketWindowAnswer.model_validate(one) for one in found.ticket_windows
        ),
        wait_seconds=found.wait.total_seconds() if found.wait else 0,
    )
