"""`cmkflow environment solution-setting`: show, turn on and revert the setting for new flows."""

from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.listing import Facts
from cmkflow.names import EnvironmentId
from cmkflow.remediation_commands import Yes
from cmkflow.signed_in_name import Name
from cmkflow.terminal import confirm
from cmkflow.timestamps import format_minute

_VALUES = {True: "created in a solution", False: "not created in a solution", None: "never set"}


def add_solution_setting_command(app: typer.Typer) -> None:
    api_command(app, "solution-setting", show=_format_setting)(change_solution_setting)


def change_solution_setting(
    api: ApiClient,
    by: Name,
    environment: EnvironmentId,
    turn_on: Annotated[
        bool, typer.Option("--turn-on", help="Create new flows in a solution.")
    ] = False,
    revert: Annotated[
        bool, typer.Option("--revert", help="Restore the value before the app's change.")
    ] = False,
    yes: Yes = False,
) -> object:
    """Show whether new flows are created in a solution, turn this on, or revert it.

    Examples:
        cmkflow environment solution-setting Operations --turn-on
        cmkflow environment solution-setting Operations --revert
    """
    path: tuple[str, ...] = ("environments", environment, "solution-setting")
    if turn_on and revert:
        raise ApiError("Use --turn-on or --revert, not both.")
    if not turn_on and not revert:
        return api.send(ApiCall(method="GET", path=path))
    if not yes:
        confirm(
            f"Create every new flow of {environment} in a solution?"
            if turn_on
            else f"Restore the former setting for new flows of {environment}?"
        )
    if revert:
        path = (*path, "revert")
    return api.send(ApiCall(method="POST", path=path, body={"requested_by": by}))


def _format_setting(answer: Any) -> Facts:
    facts = {
        "Environment": answer["environment_id"],
        "New flows": _VALUES[answer["is_on"]],
    }
    if change := answer["change"]:
        facts |= {
            "Change by the app": change["state"],
            "Former value": _VALUES[change["former_value"]],
            "By": change["changed_by"],
            "At (UTC)": format_minute(change["changed_at"]),
        }
    return Facts(facts)
