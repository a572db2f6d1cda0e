"""`cmkflow assess`: show which flows stay on Microsoft's key, and what to do about it."""

import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.api_command import api_command
from cmkflow.assessment_answer import format_answer_about_key
from cmkflow.assessment_page import build_assessment_page, format_microsoft_key_reasons
from cmkflow.listing import Column, Facts, Listing
from cmkflow.named_files import parse_file_name, write_file
from cmkflow.names import ENVIRONMENTS
from cmkflow.paragraphs import format_finding, format_number
from cmkflow.terminal import echo

app = typer.Typer(
    no_args_is_help=True,
    help="Assess what a customer-managed key changes for the flows of an environment.",
)


#: Seconds between two requests; the first are short, because a small environment takes seconds.
LOOKS = (1.0, 2.0, 3.0, 5.0)
_ENDED = frozenset({"completed", "blocked", "failed", "cancelled"})


def _format_assess_output(answer: Any) -> RenderableType:
    if "ordered" in answer:
        return Text("\n").join(
            Text(
                f"Assessment of {one['environment_id']} started. "
                f"Show it: {_format_resume_command(one)}"
            )
            for one in answer["ordered"]
        )
    if "page" in answer:
        return Text(f"Wrote {answer['page']}.")
    return Group(*map(_format_assessment, answer["items"]))


@api_command(
    app, "show", show=_format_assess_output, ends=lambda answer: int(bool(answer["failed"]))
)
def show_assessments(
    api: ApiClient,
    environments: Annotated[
        list[str] | None,
        typer.Option("--environment", help="Environment, by name or id. Can be repeated."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Assess all environments of the tenant.")
    ] = False,
    policy: Annotated[
        str, typer.Option("--policy", help="Name or resource id of the policy to apply.")
    ] = "",
    vault: Annotated[
        str,
        typer.Option("--vault", help="Vault of a key without a policy. Needs --key."),
    ] = "",
    named_key: Annotated[str, typer.Option("--key", help="Name of the key in --vault.")] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", parser=parse_file_name, help="Write HTML to FILE."),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Start the assessment and return.")
    ] = False,
    resume: Annotated[
        list[str] | None,
        typer.Option("--resume", help="Show a started assessment, by id. Can be repeated."),
    ] = None,
) -> object:
    """Show which flows stay on Microsoft's key, and what to do before or after a key is applied.

    Changes nothing in the environments. The app assesses in the background: Ctrl-C ends the
    command, not the assessment. Exits with 1 if an environment could not be assessed; the others
    are shown.

    Examples:
        cmkflow assess show --environment Operations
        cmkflow assess show --all --policy cmk-europe --html page.html
    """
    if sum((bool(environments), every, bool(resume))) != 1:
        raise typer.BadParameter("Use one of --environment, --all and --resume.")
    about = {"policy": policy or None, "vault": vault or None, "key": named_key or None}
    found: list[Any] = []
    ordered: list[Any] = []
    failed: list[str] = []
    every_id = [one.id for one in ENVIRONMENTS.listed(api, {})] if every else []
    for name in resume or ENVIRONMENTS.resolve_names(api, {}, environments or every_id):
        try:
            if resume:
                started = _read_assessment_job(api, name)
            else:
                started = _start_assessment(
                    api, name, {**about, "callers_searched_since": _get_caller_search_time(found)}
                )
            if no_wait:
                ordered.append(started)
            else:
                found.append(_wait_for_assessment(api, started))
        except ApiError as err:
            if err.exit_code is ExitCode.INTERRUPTED:
                raise
            echo(f"{name}: {err}", err=True)
            failed.append(name)
    answer: dict[str, object] = {"items": found, "failed": failed}
    if no_wait:
        answer["ordered"] = ordered
    if html and not no_wait:
        write_file(html, build_assessment_page(found).encode())
        answer["page"] = str(html)
    return answer


def _get_caller_search_time(assessments: Sequence[Any]) -> str | None:
    return next(filter(None, (one["callers_searched_at"] for one in assessments)), None)


def _start_assessment(api: ApiClient, environment: str, about: Mapping[str, str | None]) -> Any:
    body = {name: value for name, value in about.items() if value is not None}
    path = ("environments", environment, "assessment")
    return api.send(ApiCall(method="POST", path=path, body=body))


def _read_assessment_job(api: ApiClient, identity: str) -> Any:
    return api.send(ApiCall(method="GET", path=("assessments", identity)))


def _wait_for_assessment(api: ApiClient, order: Any) -> Any:
    said, looks = "", iter(LOOKS)
    try:
        while order["state"] not in _ENDED:
            if (text := _format_progress(order)) != said:
                echo(text, err=True)
            said = text
            time.sleep(next(looks, LOOKS[-1]))
            order = _try_to_read_progress(api, order)
    except KeyboardInterrupt:
        text = f"Interrupted. The assessment continues. Show it: {_format_resume_command(order)}"
        raise ApiError(text, ExitCode.INTERRUPTED) from None
    if order["assessment"] is None:
        text = f"The assessment is {order['state']}: {order['message']} {order['fix']}"
        raise ApiError(text.strip(), ExitCode.ACTION_REQUIRED)
    return order["assessment"]


def _try_to_read_progress(api: ApiClient, order: Any) -> Any:
    try:
        return _read_assessment_job(api, order["id"])
    except ApiError as err:
        if err.exit_code is not ExitCode.SERVICE_UNAVAILABLE:
            raise
        echo(str(err), err=True)
        return order


def _format_progress(order: Any) -> str:
    read = order["progress"]
    if read is None:
        text = "not started yet"
    else:
        pages = format_number(read["pages"], "page")
        source = read["source"].replace("_", " ")
        text = f"{pages} and {format_number(read['flows'], 'flow')} read, last: {source}"
    why = f"; {order['message']}" if order["message"] else ""
    return f"{order['environment_id']}: {text}{why}"


def _format_resume_command(order: Any) -> str:
    return f"cmkflow assess show --resume {order['id']}"


def _format_assessment(assessment: Any) -> RenderableType:
    effort = assessment["estimate"]
    head = Facts(
        {
            "Environment": f"{assessment['display_name']} ({assessment['environment_id']})",
            "Key": assessment["phase"],
            "Answer": format_answer_about_key(assessment),
            "Effort": (
                f"{format_number(effort['copies'], 'flow')} to copy, "
                f"{format_number(effort['callers'], 'caller')} to change, "
                f"{effort['manual_callers']} manually; {effort['url_holder_count']} hold the URL"
            ),
            "Requests": (
                f"{effort['requests']} in about {format_number(effort['minutes'], 'minute')} "
                f"({effort['share_of_daily_pool']:.2%} of the daily limit), then "
                f"{format_number(effort['no_call_days'], 'day')} without calls"
            ),
            **(
                {"Estimate may be low": effort["unknown_reason"]}
                if effort["unknown_reason"]
                else {}
            ),
        }
    )
    flows = assessment["flows"]
    lines = [
        format_finding(section["topic"], finding)
        for section in assessment["sections"]
        for finding in section["findings"]
    ]
    parts: list[RenderableType] = [head]
    if flows:
        parts.append(Listing(columns=_COLUMNS, items=flows, note=_format_flow_note))
        parts += _format_recommendations(flows)
    return Group(*parts, *lines, Text())


def _format_reasons(flow: Any) -> str:
    doubt = "may stay: " if flow["stays_on_microsoft_key"] is None else ""
    return doubt + format_microsoft_key_reasons(flow["microsoft_key_reasons"])


def _format_flow_note(flow: Any) -> str:
    callers = [_format_caller(one) for one in flow["callers"]]
    more = ["maybe more"] if flow["callers_unknown_reason"] else []
    parts = {
        "kept by": [" > ".join(chain) for chain in flow["parent_chains"]],
        "keeps": flow["blocks_flows"],
        "callers": [*callers, *more],
    }
    return " · ".join(f"{name} {', '.join(texts)}" for name, texts in parts.items() if texts)


_COLUMNS = (
    Column("Flow", itemgetter("display_name")),
    Column("Reason", _format_reasons),
    Column("Owner", lambda flow: ", ".join(filter(None, (flow["owner"], *flow["co_owners"])))),
)


def _format_caller(caller: Any) -> str:
    notes = {"manual": caller["manual_reason"], "already broken": caller["is_broken"]}
    remarks = ", ".join(note for note, holds in notes.items() if holds)
    return f"{caller['label']} ({remarks})" if remarks else str(caller["label"])


def _format_recommendations(flows: Sequence[Any]) -> list[Text]:
    groups: dict[str, list[Any]] = {}
    for flow in flows:
        groups.setdefault(flow["recommendations"][0] if flow["recommendations"] else "", []).append(
            flow
        )
    groups.pop("", None)
    lines = [Text("Recommendations", style="bold")] if groups else []
    for advice, advised in groups.items():
        lines.append(Text(advice))
        lines += [Text(f"  {one['workflow_id']}  {one['display_name']}") for one in advised]
    return lines
