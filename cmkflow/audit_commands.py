"""`cmkflow audit`: show the audit log."""

from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import Shown, api_command
from cmkflow.audit_text import audit_table
from cmkflow.listing import After, Listing
from cmkflow.names import ENVIRONMENTS

app = typer.Typer(no_args_is_help=True, help="Show the audit log.")


@app.callback()
def describe() -> None:
    """Show the audit log."""


@api_command(app, "list", show=lambda answer: audit_table(answer, {}))
def list_audit(
    api: ApiClient,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of entries.")] = 50,
    after: After = None,
) -> object:
    """Show who requested which change, and its result, newest first."""
    query = {"limit": limit, "after": after}
    answer = api.send(ApiCall(method="GET", path=("audit",), query=query))

    def show(found: Any) -> Listing:
        return audit_table(found, _read_environment_names(api))

    return Shown(answer=answer, show=show)


def _read_environment_names(api: ApiClient) -> dict[str, str]:
    """Return the names of environments by id; none if they cannot be read."""
    try:
        return {one.id: one.name for one in ENVIRONMENTS.listed(api, {})}
    except ApiError:
        return {}
