"""`cmkflow support-request`: show requests to Microsoft's support, and record that a person filed
one.
"""

from operator import itemgetter
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Facts, Kind, Listing
from cmkflow.names import SupportRequestId
from cmkflow.signed_in_name import Name

app = typer.Typer(no_args_is_help=True, help="Requests to Microsoft's support that you file.")

_PATH = "support-requests"


def _format_days_left(one: Any) -> str:
    return "" if one["days_left"] is None else str(one["days_left"])


_COLUMNS = (
    Column("Request", itemgetter("id"), Kind.ID),
    Column("Environment", lambda one: one["environment_name"] or "all"),
    Column("State", itemgetter("state"), Kind.WORD),
    Column("Days left", _format_days_left, Kind.NUMBER),
    Column("Ticket", itemgetter("ticket_number"), Kind.WORD),
    Column("Filed by", itemgetter("filed_by")),
)


def _build_support_request_listing(answer: Any) -> Listing:
    return Listing(columns=_COLUMNS, items=answer["items"])


def _format_request(one: Any) -> Facts:
    return Facts(
        {
            "Request": one["id"],
            "Environment": one["environment_name"],
            "State": one["state"],
            "Days left": _format_days_left(one),
            "Ticket": one["ticket_number"],
            "Filed by": one["filed_by"],
        }
    )


def _format_draft(answer: Any) -> RenderableType:
    # Not wrapped, because it is pasted into a form.
    lines = [Text(line, no_wrap=True, overflow="ignore") for line in answer["lines"]]
    head = _format_request(answer["request"])
    return Group(head, Text(), Text(answer["subject"]), Text(), *lines)


@api_command(app, "list", show=_build_support_request_listing)
def list_requests(api: ApiClient) -> object:
    """List the support requests, and how many days are left to file them.

    Examples:
        cmkflow support-request list
    """
    return api.send(ApiCall(method="GET", path=(_PATH,)))


@api_command(app, "show", show=_format_draft)
def show_request(api: ApiClient, request: SupportRequestId) -> object:
    """Show the draft of a support request.

    Examples:
        cmkflow support-request show Operations
    """
    return api.send(ApiCall(method="GET", path=(_PATH, request)))


@api_command(app, "mark-filed", show=_format_request)
def mark_request_filed(
    api: ApiClient,
    request: SupportRequestId,
    by: Name,
    ticket: Annotated[str, typer.Option("--ticket", help="Ticket number.")],
) -> object:
    """Record that you filed a support request, so that the days left to file it are no longer
    shown.

    Examples:
        cmkflow support-request mark-filed Operations --ticket 2603020050001234
    """
    body = {"ticket_number": ticket, "requested_by": by}
    return api.send(ApiCall(method="POST", path=(_PATH, request, "filed"), body=body))


@api_command(app, "reopen", show=_format_request)
def reopen_request(api: ApiClient, request: SupportRequestId, by: Name) -> object:
    """Record that a support request is not filed, so that the days left to file it are shown again.

    Examples:
        cmkflow support-request reopen Operations
    """
    return api.send(
        ApiCall(method="POST", path=(_PATH, request, "reopen"), body={"requested_by": by})
    )
