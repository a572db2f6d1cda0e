"""`cmkflow watch`: follow a remediation, or the status of the tenant."""

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from cmkflow.api_client import ApiCall, ApiClient, ExitCode
from cmkflow.api_command import api_command
from cmkflow.names import REMEDIATIONS
from cmkflow.remediation_text import format_remediation_progress, format_watched_lines
from cmkflow.status_command import format_status, format_status_lines
from cmkflow.watching import WatchOptions
from shared.domain.jobs.remediation_states import REMEDIATION_STATES
from shared.domain.jobs.state_machine import NextActor


def add_watch_command(group: typer.Typer) -> None:
    @api_command(
        group,
        "watch",
        show=_format_remediation_or_status,
        watched=WatchOptions(lines=_format_remediation_or_status_lines, end=_choose_exit_code),
    )
    def follow_progress(
        api: ApiClient,
        remediation: Annotated[
            str | None,
            typer.Argument(help="Name, id, or the beginning of an id. Default: the whole tenant."),
            REMEDIATIONS,
        ] = None,
    ) -> object:
        """Follow a remediation until no work is in progress, or the status of the tenant until
        Ctrl-C.

        Refreshes a terminal every five seconds, and writes a line per change to a pipe. Exits with
        4 if an action is required.

        Examples:
            cmkflow watch 2dad424e
            cmkflow watch
        """
        path = ("status",) if remediation is None else ("remediations", remediation)
        return api.send(ApiCall(method="GET", path=path))


def _is_remediation(answer: Any) -> bool:
    return "remediation" in answer


def _format_remediation_or_status(answer: Any) -> RenderableType:
    return format_remediation_progress(answer) if _is_remediation(answer) else format_status(answer)


def _format_remediation_or_status_lines(answer: Any) -> dict[str, str]:
    return format_watched_lines(answer) if _is_remediation(answer) else format_status_lines(answer)


def _choose_exit_code(answer: Any) -> int | None:
    if not _is_remediation(answer):
        return None
    facts = REMEDIATION_STATES.get(answer["progress"]["state"])
    if facts is None or facts.next_actor is NextActor.APP:
        return None
    return ExitCode.ACTION_REQUIRED if facts.next_actor is NextActor.PERSON else 0
