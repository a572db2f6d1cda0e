"""`cmkflow flow`: list flows."""

from operator import itemgetter
from typing import Any

import typer

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import EnvironmentId

app = typer.Typer(no_args_is_help=True, help="List flows.")


@app.callback()
def describe() -> None:
    """List flows."""


def _flows(answer: Any) -> Listing:
    columns = (Column("Flow", itemgetter("name")), Column("Id", itemgetter("id"), Kind.ID))
    return Listing(columns=columns, items=answer["items"])


@api_command(app, "list", show=_flows)
def list_flows(api: ApiClient, environment: EnvironmentId) -> object:
    """List the flows of an environment with their ids."""
    return api.send(ApiCall(method="GET", path=("environments", environment, "flows")))
