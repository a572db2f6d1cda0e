"""`cmkflow audit`: show the audit log."""

from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import After, Column, Kind, Listing
from cmkflow.timestamps import minute
from shared.domain.principal import PrincipalKind

app = typer.Typer(no_args_is_help=True, help="Show the audit log.")


@app.callback()
def describe() -> None:
    """Show the audit log."""


def _trail(answer: Any) -> Listing:
    return Listing(columns=_COLUMNS, items=answer["items"], note=_note, next=answer["next"])


def _who(entry: Any) -> str:
    """Return the name; the name that the holder of a function key gave is marked as not
    verified.
    """
    if entry["kind"] == PrincipalKind.FUNCTION_KEY:
        return f"function key ({entry['who']})" if entry["who"] else "function key"
    return str(entry["who"])


def _note(entry: Any) -> str:
    is_changed = entry["state_before"] or entry["state_after"]
    changed = f": {entry['state_before']} → {entry['state_after']}" if is_changed else ""
    why = f": {entry['message']}" if entry["message"] else ""
    return f"{entry['target']}{why}{changed}"


_COLUMNS = (
    Column("When (UTC)", lambda one: minute(one["recorded_at"]), Kind.WORD),
    Column("Who", _who),
    Column("What", lambda one: one["operation"].replace("_", " ")),
    Column("Status", lambda one: "interrupted" if one["status"] is None else one["status"]),
)


@api_command(app, "list", show=_trail)
def list_audit(
    api: ApiClient,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of entries.")] = 50,
    after: After = None,
) -> object:
    """Show who ordered what, and what became of it, the newest first."""
    query = {"limit": limit, "after": after}
    return api.send(ApiCall(method="GET", path=("audit",), query=query))
