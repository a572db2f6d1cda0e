"""`cmkflow kill-switch`: show it and turn it on or off. `cmkflow health`: show the app's health."""

from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Facts
from cmkflow.signed_in_name import Name
from cmkflow.timestamps import format_minute
from shared.domain.kill_switch import EFFECT

app = typer.Typer(no_args_is_help=True, help="Stop the app's writes, or allow them again.")

Justification = Annotated[
    str, typer.Option(help="The reason, which is shown with the kill switch.")
]


def _format_kill_switch(answer: Any) -> Text:
    if not answer["changed_at"]:
        return Text("The kill switch is off. It was never used.")
    state = f"on. {EFFECT}" if answer["is_on"] else "off. Writes are allowed."
    at = f"{format_minute(answer['changed_at'])} UTC"
    return Text(
        f"The kill switch is {state}\n{answer['changed_by']}, {at}: {answer['justification']}",
        style="bold red" if answer["is_on"] else "",
    )


def _format_queue_status(calls: Any) -> str:
    if not calls["waiting"]:
        return ""
    left = calls["remaining_today"]
    pace = f"{calls['requests_per_minute']} requests per minute"
    if left is not None:
        pace = f"{pace}, {left:,} left today" if left else "the daily limit is used up"
    return f"{calls['waiting']}; {pace}; next request at {format_minute(calls['next_at'])} UTC"


def _format_health(answer: Any) -> Facts:
    dead = [f"{queue}: {count}" for queue, count in answer["dead_letters"].items() if count]
    return Facts(
        {
            "Store and broker": "available",
            "Kill switch": "on" if answer["kill_switch_on"] else "off",
            "Poison messages": str(answer["poison_messages"]),
            "Dead-lettered messages": "\n".join(dead) or "0",
            "Outages": "\n".join(
                f"{one['service']} {one['endpoint']}, since {format_minute(one['opened_at'])} UTC"
                for one in answer["outages"]
            ),
            "Failing channels": "\n".join(
                f"{one['channel']}, {one['notification_count']} waiting: {one['error']}"
                f" {one['fix']}"
                for one in answer["failing_channels"]
            ),
            "Jobs waiting for the request limit": _format_queue_status(answer["request_queues"]),
            "Plans awaiting approval": str(answer["plans_awaiting_approval"] or ""),
            "Blocked or failed jobs": str(answer["action_required_count"] or ""),
            "Overdue rows (timer not running)": str(answer["overdue_rows"] or ""),
            "Overdue rows (until the daily check)": str(answer["without_wake_up"] or ""),
            "Open alerts": "\n".join(
                f"{code}: {count}" for code, count in answer["alert_counts"].items()
            ),
            "Last daily check": f"{format_minute(answer['last_daily_check_at'])} UTC"
            if answer["last_daily_check_at"]
            else "none",
        }
    )


@api_command(app, "show", show=_format_kill_switch)
def show_kill_switch(api: ApiClient) -> object:
    """Show whether the kill switch is on, who changed it, and why.

    Examples:
        cmkflow kill-switch show
    """
    return api.send(ApiCall(method="GET", path=("kill-switch",)))


@api_command(app, "on", show=_format_kill_switch)
def turn_kill_switch_on(api: ApiClient, justification: Justification, by: Name) -> object:
    """Stop the app's writes, except those that turn on a flow that a cutover left off.

    A write that is already being sent completes.

    Examples:
        cmkflow kill-switch on --justification "change freeze"
    """
    return _set_kill_switch(api, is_on=True, justification=justification, by=by)


@api_command(app, "off", show=_format_kill_switch)
def turn_kill_switch_off(api: ApiClient, justification: Justification, by: Name) -> object:
    """Allow writes again. Waiting jobs continue within CMK_WAIT_POLL_INTERVAL (default: five
    minutes).

    Examples:
        cmkflow kill-switch off --justification "checked"
    """
    return _set_kill_switch(api, is_on=False, justification=justification, by=by)


def add_health_command(group: typer.Typer) -> None:

    @api_command(group, "health", show=_format_health)
    def show_health(api: ApiClient) -> object:
        """Show the health of the app and open alerts.

        Examples:
            cmkflow health
            cmkflow health --query kill_switch_on
        """
        return api.send(ApiCall(method="GET", path=("health",)))


def _set_kill_switch(api: ApiClient, *, is_on: bool, justification: str, by: str) -> object:
    body = {"is_on": is_on, "changed_by": by, "justification": justification}
    return api.send(ApiCall(method="PUT", path=("kill-switch",), body=body))
