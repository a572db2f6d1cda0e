"""`cmkflow run-archive`: archive the run history of originals, which copies do not have."""

import time
from operator import itemgetter
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.progress import Progress
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import Flows, RemediationId
from cmkflow.run_archive_tables import format_support_window
from cmkflow.terminal import Terminal
from cmkflow.timestamps import format_minute

app = typer.Typer(no_args_is_help=True, help="Archive the run history of originals.")


_COLUMNS = (
    Column("Flow", itemgetter("display_name")),
    Column("State", itemgetter("state"), Kind.WORD),
    Column("Runs", itemgetter("runs"), Kind.NUMBER),
    Column("Oldest (UTC)", lambda one: format_minute(one["oldest_run_at"]), Kind.WORD),
    Column("Parts", lambda one: len(one["parts"]), Kind.NUMBER),
)


def format_archive_table(answer: Any) -> RenderableType:
    archives = answer["archives"]
    shown = (
        Listing(columns=_COLUMNS, items=archives)
        if archives
        else Text("No run history is archived yet.")
    )
    return Group(shown, *(Text(format_support_window(one)) for one in answer["support_windows"]))


@api_command(app, "list", show=format_archive_table)
def list_archives(api: ApiClient, remediation: RemediationId) -> object:
    """List the run archives of a remediation, and the end of each support window.

    Examples:
        cmkflow run-archive list 2dad424e
    """
    return api.send(ApiCall(method="GET", path=("remediations", remediation, "run-archives")))


@api_command(app, "create", show=format_archive_table)
def create_archives(
    api: ApiClient,
    remediation: RemediationId,
    flows: Flows = None,
    max_wait: Annotated[
        float,
        typer.Option(help="Maximum number of seconds to wait when the platform asks for a pause."),
    ] = 60.0,
) -> object:
    """Archive the run history of originals. If interrupted, run the command again: it continues.

    Examples:
        cmkflow run-archive create 2dad424e
    """
    call = ApiCall(
        method="POST",
        path=("remediations", remediation, "run-archives"),
        body={"flow_ids": flows} if flows else {},
    )
    # Progress goes to stderr, so that programs can read the answer.
    with Progress(console=Terminal(stderr=True)) as progress:
        task = progress.add_task("Run summaries", total=None)
        while True:
            answer = api.send(call)
            archives = answer["archives"]
            runs = sum(one["runs"] for one in archives)
            progress.update(
                task,
                description=f"{runs} run summaries",
                total=len(archives),
                completed=sum(one["fraction_complete"] for one in archives),
            )
            if answer["is_completed"]:
                return answer
            time.sleep(min(answer["retry_after_seconds"], max_wait))
