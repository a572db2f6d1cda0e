"""`cmkflow caller declare`, `list`, `confirm` and `remove`: manage declared callers."""

import re
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.caller_file import read_callers
from cmkflow.json_file import UnreadableFile
from cmkflow.listing import Column, Kind, Listing
from cmkflow.named_files import format_path, parse_file_name
from cmkflow.remediation_tables import format_count_sentence
from cmkflow.signed_in_name import Name
from shared.domain.callers.caller_csv import COLUMNS

_PATH = "declared-callers"
_INDEX = re.compile(r"^( *)callers\.(\d+)", re.MULTILINE)


def add_declared_caller_commands(app: typer.Typer) -> None:
    api_command(app, "declare", show=_build_caller_listing)(declare_callers)
    api_command(app, "list", show=_build_caller_listing)(list_callers)
    api_command(app, "confirm", show=_format_confirmation)(confirm_caller)
    api_command(app, "remove", show=_build_caller_listing)(remove_caller)


CallerName = Annotated[str, typer.Argument(metavar="CALLER", help="Name of the declared caller.")]
_COLUMNS = (
    Column("Caller", itemgetter("name")),
    Column("Owner", itemgetter("owner")),
    Column("Contact", itemgetter("contact")),
    Column("Flows", lambda one: len(one["flows"]), Kind.NUMBER),
    Column("Longest URL", lambda one: one["max_url_length"] or 0, Kind.NUMBER, is_optional=True),
    Column("Hosts", lambda one: " ".join(one["allowed_hosts"]) or "any", is_optional=True),
)


def _build_caller_listing(answer: Any) -> Listing:
    return Listing(columns=_COLUMNS, items=answer["items"])


def declare_callers(
    api: ApiClient,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            parser=parse_file_name,
            help="YAML or JSON file with a list `callers` (docs/callers.schema.json), or CSV file "
            f"with the columns {', '.join(COLUMNS)}.",
        ),
    ],
) -> object:
    """Declare callers: systems outside Power Platform and Azure that call flows.

    If one of them cannot be declared, none is. A caller replaces the declared caller that has its
    name. A flow is given by id or name. If trigger_url_id contains a trigger URL, only the id in it
    is sent.

    Examples:
        cmkflow caller declare callers.yaml
    """
    try:
        callers = read_callers(file)
    except UnreadableFile as error:
        raise typer.BadParameter(f"{format_path(file)}: {error}.", param_hint="FILE") from None
    if not callers:
        raise typer.BadParameter(f"{format_path(file)} declares no caller.", param_hint="FILE")
    try:
        return api.send(ApiCall(method="POST", path=(_PATH,), body={"callers": callers}))
    except ApiError as error:
        raise ApiError(_replace_indexes_with_names(str(error), callers), error.exit_code) from None


def list_callers(api: ApiClient) -> object:
    """List the declared callers.

    Examples:
        cmkflow caller list
    """
    return api.send(ApiCall(method="GET", path=(_PATH,)))


def confirm_caller(
    api: ApiClient,
    name: CallerName,
    flow: Annotated[str, typer.Option("--flow", help="The original, by name or id.")],
    by: Name,
) -> object:
    """Confirm that a declared caller calls the copy of a flow, or in a rollback the original.

    Examples:
        cmkflow caller confirm "SAP order portal" --flow "Orders"
    """
    body = {"name": name, "flow": flow, "confirmed_by": by}
    return api.send(ApiCall(method="POST", path=(_PATH, "confirm"), body=body))


def _format_confirmation(answer: Any) -> Text:
    side = "the copy of " if answer["calls_copy"] else ""
    text = Text(f"{answer['caller']['name']} calls {side}{answer['display_name']}. ")
    return text.append_text(format_count_sentence(answer["retried_count"], "job", "retried"))


def remove_caller(api: ApiClient, name: CallerName) -> object:
    """Remove a declared caller, so that no remediation waits for it, and list the others.

    Fails while a flow that it calls still receives calls.

    Examples:
        cmkflow caller remove "SAP order portal"
    """
    return api.send(ApiCall(method="POST", path=(_PATH, "remove"), body={"name": name}))


def _replace_indexes_with_names(text: str, callers: list[dict[str, Any]]) -> str:
    def replace_index_with_name(match: re.Match[str]) -> str:
        number = int(match[2])
        name = callers[number].get("name") if number < len(callers) else None
        return f"{match[1]}caller {number + 1}" + (f" ({name})" if isinstance(name, str) else "")

    return _INDEX.sub(replace_index_with_name, text)
