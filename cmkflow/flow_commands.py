"""`cmkflow flow`: list flows, and show one flow of a remediation."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.api_command import Shown, api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import REMEDIATIONS, EnvironmentId
from cmkflow.paragraphs import Command, Headline, Paragraph, shorten_resource_ids
from cmkflow.terminal import remove_line_breaks
from cmkflow.timestamps import format_minute, format_time_left_or_date
from shared.domain.name_lookup import (
    NamedItem,
    find_items_by_id_or_name,
    find_similar_items,
    format_suggestion,
)

app = typer.Typer(no_args_is_help=True, help="List flows, and show one flow of a remediation.")

#: Most remediations that are searched for a flow, newest first.
_SEARCHED = 20


def _format_flows(answer: Any) -> Listing:
    columns = (Column("Flow", itemgetter("name")), Column("Id", itemgetter("id"), Kind.ID))
    return Listing(columns=columns, items=answer["items"])


@api_command(app, "list", show=_format_flows)
def list_flows(api: ApiClient, environment: EnvironmentId) -> object:
    """List the flows of an environment with their ids.

    Examples:
        cmkflow flow list Operations
    """
    return api.send(ApiCall(method="GET", path=("environments", environment, "flows")))


def format_flow(answer: Any) -> RenderableType:
    """Return the state of a flow, what to do, its callers and its history."""
    flow, identity = answer["flow"], answer["workflow_id"]
    return Group(
        Headline(left=f"{flow['display_name']} · #{identity[:8]}", right=_format_state(flow)),
        *_format_reason_and_next_command(answer),
        *_format_callers_and_history(answer),
    )


def _format_state(flow: Any) -> str:
    state = str(flow.get("state", "needs changes first")).replace("_", " ").capitalize()
    code = flow.get("reason_code")
    return f"{state}: {code}" if code else state


def _format_reason_and_next_command(answer: Any) -> Iterator[RenderableType]:
    flow, remediation = answer["flow"], answer["remediation_id"]
    yield Text(f"{answer['environment_name']} · remediation #{remediation[:8]}")
    if flow.get("next_check_at"):
        yield Text(f"Next check {format_time_left_or_date(flow['next_check_at'])}")
    yield Text()
    if flow["message"]:
        yield Paragraph(label="Why", text=shorten_resource_ids(flow["message"]), indent=0)
    if flow["fix"]:
        yield Paragraph(label="Fix", text=flow["fix"], indent=0)
        command = f"cmkflow retry {remediation} --flow {answer['workflow_id']}"
        if "state" in flow:
            yield Command(label="Then", command=command, indent=0)


def _format_callers_and_history(answer: Any) -> Iterator[RenderableType]:
    if answer["callers"]:
        yield Text()
        yield Listing(columns=_CALLER_COLUMNS, items=answer["callers"], is_full=True)
    if observed := answer["observed_callers"]:
        yield Text("\nCalls to the original after its known callers were updated")
        yield Listing(columns=_OBSERVED_COLUMNS, items=observed, is_full=True)
    history = answer["flow"].get("history") or []
    if history:
        yield Text()
        yield Listing(columns=_HISTORY_COLUMNS, items=history)


@api_command(app, "show", show=format_flow)
def show_flow(
    api: ApiClient,
    flow: Annotated[
        str,
        typer.Argument(metavar="FLOW", help="Name or id of the flow, or the beginning of its id."),
    ],
    remediation: Annotated[
        str | None,
        typer.Option(help="Remediation, by name or id. Default: the newest one with this flow."),
        REMEDIATIONS,
    ] = None,
) -> object:
    """Show one flow: its state, the action required, its callers and its history.

    Examples:
        cmkflow flow show "Post to ERP"
        cmkflow flow show "Post to ERP" --remediation 2dad424e
    """
    found = _read_flow(api, flow, remediation)
    identity = found["remediation_id"]
    plans = api.send(ApiCall(method="GET", path=("remediations", identity, "plan")))
    items = [item for plan in plans["items"] for item in plan["items"]]
    callers: list[Any] = next(
        (one["callers"] for one in items if one["workflow_id"] == found["workflow_id"]), []
    )
    return Shown(
        answer={**found, "callers": callers},
        next_commands=[f"cmkflow plan show {identity} --flow {found['workflow_id']}"],
    )


def _read_flow(api: ApiClient, flow: str, remediation: str | None) -> dict[str, Any]:
    seen: list[NamedItem] = []
    for identity in [remediation] if remediation else _read_newest_remediation_ids(api):
        query = {"include_history": "true"}
        path = ("remediations", identity)
        answer = remove_line_breaks(api.send(ApiCall(method="GET", path=path, query=query)))
        flows = {
            str(one.get("original_id") or one["workflow_id"]): one
            for one in (*answer["flow_jobs"], *answer["needs_changes"])
        }
        items = [
            NamedItem(id=key, name=one["display_name"], others=(one["flow_name"],))
            for key, one in flows.items()
        ]
        found = {one.id for one in find_items_by_id_or_name(flow, items)}
        if len(found) > 1:
            lines = "\n".join(f"  {one}  {flows[one]['display_name']}" for one in sorted(found))
            text = f"Several flows match {flow!r}. Use an id:\n{lines}"
            raise ApiError(text, ExitCode.USAGE_ERROR)
        for key in found:
            names = {
                one["environment_id"]: one["environment_name"] for one in answer["environment_jobs"]
            }
            environment = flows[key]["environment_id"]
            return {
                "remediation_id": identity,
                "environment_name": names.get(environment) or environment,
                "workflow_id": key,
                "flow": flows[key],
                "observed_callers": _list_observed_callers(answer, key),
            }
        seen += items
    hint = format_suggestion(find_similar_items(flow, seen)) or (
        f"Its plan: cmkflow plan show {remediation or 'REMEDIATION'}. "
        "All flows: cmkflow flow list ENVIRONMENT."
    )
    raise ApiError(f"No remediation has a job for the flow {flow!r}. {hint}", ExitCode.NOT_FOUND)


def _list_observed_callers(answer: Any, workflow_id: str) -> list[Any]:
    return [
        caller
        for one in answer["observed_callers"]
        if one["original_id"] == workflow_id
        for caller in one["callers"]
    ]


def _format_observed_caller(one: Any) -> str:
    claims = f", claims to be {one['claims']}" if one["claims"] else ""
    return f"{one['label']}{claims}"


def _read_newest_remediation_ids(api: ApiClient) -> list[str]:
    query = {"limit": _SEARCHED}
    answer = api.send(ApiCall(method="GET", path=("remediations",), query=query))
    return [str(one["remediation"]["id"]) for one in answer["items"]]


_CALLER_COLUMNS = (
    Column("Caller", itemgetter("label")),
    Column("Changed by", lambda one: "a person" if one["manual_reason"] else "the app"),
)
_OBSERVED_COLUMNS = (
    Column("Caller", _format_observed_caller),
    Column("Calls", itemgetter("call_count"), Kind.NUMBER),
    Column("First (UTC)", lambda one: format_minute(one["first_at"]), Kind.WORD),
    Column("Last (UTC)", lambda one: format_minute(one["last_at"]), Kind.WORD),
)
_HISTORY_COLUMNS = (
    Column("Time (UTC)", lambda one: format_minute(one["changed_at"]), Kind.WORD),
    Column("State", itemgetter("state"), Kind.WORD),
    Column("What", lambda one: shorten_resource_ids(one["message"])),
)
