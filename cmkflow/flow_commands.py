"""`cmkflow flow`: list flows."""

from typing import Any

import typer

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Listing, ShortId
from cmkflow.names import EnvironmentId
from shared.domain.name_lookup import short_ids

app = typer.Typer(no_args_is_help=True, help="List flows.")


@app.callback()
def describe() -> None:
    """List flows."""


def _flows(answer: Any) -> Listing:
    ids = short_ids(one["id"] for one in answer["items"])
    rows = [(one["name"], ShortId(one["id"], ids[one["id"]])) for one in answer["items"]]
    return Listing(titles=("Flow", "Id"), rows=rows)


@api_command(app, "list", show=_flows)
def list_flows(api: ApiClient, environment: EnvironmentId) -> object:
    """List the flows of an environment with their ids."""
    return api.send(ApiCall(method="GET", path=("environments", environment, "flows")))
