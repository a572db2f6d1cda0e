"""HTTP: whether the app can work, and what waits for a person."""

import azure.functions as func

from functions.http_answers import Answer, answers, ok
from functions.http_requests import NoQuery, read_query
from shared.bootstrap import services
from shared.use_cases.check_health import check_health

blueprint = func.Blueprint()


class HealthAnswer(Answer):
    """Store and broker have answered; what they told."""

    kill_switch_on: bool
    #: Messages that nobody could read.
    parked: int
    #: Messages the broker gave up on, by queue.
    dead_letters: dict[str, int]
    #: Rows that need a person, of which people were told, by code.
    notices: dict[str, int]


@blueprint.route(route="health", methods=["GET"])
@answers
async def show_health(req: func.HttpRequest) -> func.HttpResponse:
    """Return 200 if the store and the broker answer, 503 if not."""
    read_query(req, NoQuery)
    return ok(HealthAnswer.model_validate(await check_health(services())))
