"""`cmkflow kill-switch`, which stops every write of the app, and `cmkflow health`."""

from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Listing, facts
from cmkflow.signed_in_name import Name
from cmkflow.timestamps import minute

app = typer.Typer(no_args_is_help=True, help="Stop every write of the app, or allow them again.")

Justification = Annotated[str, typer.Option(help="Why; the kill switch shows it.")]


def _switch(answer: Any) -> Text:
    if not answer["at"]:
        return Text("The kill switch is off; nobody has ever touched it.")
    state = "on: nothing is written" if answer["on"] else "off: writes are allowed"
    at = f"{minute(answer['at'])} UTC"
    return Text(
        f"The kill switch is {state}.\n{answer['by']}, {at}: {answer['reason']}",
        style="bold red" if answer["on"] else "",
    )


def _line(calls: Any) -> str:
    if not calls["waiting"]:
        return ""
    pace = f"at {calls['requests_per_minute']} a minute"
    if calls["remaining_today"] == 0:
        pace = "those of 24 hours are used up"
    return f"{calls['waiting']}, {pace}; the next at {minute(calls['next_at'])} UTC"


def _health(answer: Any) -> Listing:
    dead = [f"{queue}: {count}" for queue, count in answer["dead_letters"].items() if count]
    return facts(
        {
            "Store and broker": "answer",
            "Kill switch": "on" if answer["kill_switch_on"] else "off",
            "Parked messages": str(answer["parked"]),
            "Dead letters": "\n".join(dead) or "0",
            "Services that are out": "\n".join(
                f"{one['service']} {one['place']}, since {minute(one['opened'])} UTC"
                for one in answer["outages"]
            ),
            "Channels that are out": "\n".join(
                f"{one['channel']}, {one['notifications']} waiting: {one['error']}"
                f" {one['instruction']}"
                for one in answer["failing_channels"]
            ),
            "Jobs that wait for calls": _line(answer["calls"]),
            "Plans that wait for approval": str(answer["plans_awaiting_approval"] or ""),
            "Blocked or failed jobs": str(answer["stuck"] or ""),
            "Rows that the timer has not looked at": str(answer["overdue_rows"] or ""),
            "Overdue rows without a wake-up": str(answer["without_wake_up"] or ""),
            "Rows that need a person": "\n".join(
                f"{code}: {count}" for code, count in answer["notices"].items()
            ),
            "Last sweep": f"{minute(answer['last_daily_check_at'])} UTC"
            if answer["last_daily_check_at"]
            else "none",
        }
    )


@api_command(app, "show", show=_switch)
def show_kill_switch(api: ApiClient) -> object:
    """Show whether writes are stopped, by whom and why."""
    return api.send(ApiCall(method="GET", path=("kill-switch",)))


@api_command(app, "on", show=_switch)
def turn_on(api: ApiClient, justification: Justification, by: Name) -> object:
    """Stop every write. What is being written at this moment is finished."""
    return _turn(api, is_on=True, reason=justification, by=by)


@api_command(app, "off", show=_switch)
def turn_off(api: ApiClient, justification: Justification, by: Name) -> object:
    """Allow writes again. Jobs that wait look again within five minutes
    (CMK_WAIT_POLL_INTERVAL).
    """
    return _turn(api, is_on=False, reason=justification, by=by)


def register_health(group: typer.Typer) -> None:
    """Add `health` to the top of the command line."""

    @api_command(group, "health", show=_health, is_hidden=True)
    def health(api: ApiClient) -> object:
        """Show whether the app can work, and what waits for a person."""
        return api.send(ApiCall(method="GET", path=("health",)))


def _turn(api: ApiClient, *, is_on: bool, reason: str, by: str) -> object:
    body = {"on": is_on, "by": by, "reason": reason}
    return api.send(ApiCall(method="PUT", path=("kill-switch",), body=body))
