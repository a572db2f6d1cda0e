"""HTTP: the switch that stops every write, and whether the app is well."""

from datetime import datetime

import azure.functions as func

from functions.http_answers import Answer, answers, ok
from functions.http_requests import NoQuery, Request, Text, caller_of, read_body, read_query
from shared.bootstrap import services
from shared.domain.callers.records import Flag
from shared.use_cases.switch_writes import kill_switch, set_kill_switch

blueprint = func.Blueprint()


class KillSwitchChange(Request):
    """Turns the switch."""

    on: bool
    by: Text | None = None
    reason: Text


class KillSwitchAnswer(Answer):
    """The switch as it stands; `at` is None where nobody ever touched it."""

    on: bool
    by: str = ""
    reason: str = ""
    at: datetime | None = None


@blueprint.route(route="kill-switch", methods=["GET"])
@answers
async def show_kill_switch(req: func.HttpRequest) -> func.HttpResponse:
    """Return whether writes are stopped, by whom and why."""
    read_query(req, NoQuery)
    flag = await kill_switch(services())
    return ok(_answer(flag) if flag else KillSwitchAnswer(on=False))


@blueprint.route(route="kill-switch", methods=["PUT"])
@answers
async def turn_kill_switch(req: func.HttpRequest) -> func.HttpResponse:
    """Stop every write, or allow them again."""
    read_query(req, NoQuery)
    change = read_body(req, KillSwitchChange)
    by = caller_of(req, change.by)
    return ok(
        _answer(await set_kill_switch(services(), is_on=change.on, by=by, reason=change.reason))
    )


def _answer(flag: Flag) -> KillSwitchAnswer:
    return KillSwitchAnswer(on=flag.is_on, by=flag.by, reason=flag.reason, at=flag.at)
