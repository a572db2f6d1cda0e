"""`cmkflow assess show`: what a customer's key will do to environments, as a table, JSON or a page.

Asks the app's API (docs/http-api.md); nothing is written to any environment. The app assesses in
the background, so whoever stops waiting loses nothing.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.api_command import api_command
from cmkflow.assessment_page import REASONS, page_of
from cmkflow.finding_text import finding_text
from cmkflow.listing import facts, table
from cmkflow.named_files import named_file, write_page
from cmkflow.names import ENVIRONMENTS
from cmkflow.run_archive_tables import number_of
from cmkflow.terminal import echo

app = typer.Typer(no_args_is_help=True, help="Assess what a customer-managed key does.")


@app.callback()
def describe() -> None:
    """Assess what a customer-managed key does."""


#: Between two looks: the first come soon, because a small environment takes seconds.
LOOKS = (1.0, 2.0, 3.0, 5.0)
_ENDED = frozenset({"completed", "blocked", "failed", "cancelled"})


def _all_shown(answer: Any) -> RenderableType:
    if "ordered" in answer:
        return Text("\n").join(
            Text(f"{one['environment_id']} is being assessed. Look at it: {_resume(one)}")
            for one in answer["ordered"]
        )
    if "page" in answer:
        return Text(f"Written to {answer['page']}.")
    return Group(*map(_shown, answer["items"]))


@api_command(app, "show", show=_all_shown, ends=lambda answer: int(bool(answer["failed"])))
def show_assessments(
    api: ApiClient,
    environments: Annotated[
        list[str] | None,
        typer.Option("--environment", help="An environment, by name or id; repeat it."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every environment of the tenant, one after another.")
    ] = False,
    policy: Annotated[
        str, typer.Option("--policy", help="Name or Azure id of the policy to be applied.")
    ] = "",
    vault: Annotated[
        str,
        typer.Option("--vault", help="Vault of a key that no policy names yet; name --key."),
    ] = "",
    named_key: Annotated[str, typer.Option("--key", help="That key's name.")] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", parser=named_file, help="Write a page to FILE."),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Order it, and say how to look at it later.")
    ] = False,
    resume: Annotated[
        list[str] | None,
        typer.Option("--resume", help="An assessment that was ordered, by its id; repeat it."),
    ] = None,
) -> object:
    """Show what stays on Microsoft's key and what else to do, before or after a key is applied.

    Reads only. The app assesses in the background: Ctrl-C stops the waiting, not the
    assessment. Exits with 1 when an environment could not be assessed; the others are shown.
    """
    if sum((bool(environments), every, bool(resume))) != 1:
        raise typer.BadParameter("Name --environment, or --all, or --resume.")
    about = {"policy": policy or None, "vault": vault or None, "key": named_key or None}
    found: list[Any] = []
    ordered: list[Any] = []
    failed: list[str] = []
    every_id = [one.id for one in ENVIRONMENTS.listed(api, {})] if every else []
    for name in resume or ENVIRONMENTS.ids(api, {}, environments or every_id):
        try:
            if resume:
                order = _shown_order(api, name)
            else:
                order = _order(api, name, {**about, "callers_searched_since": _search_in(found)})
            if no_wait:
                ordered.append(order)
            else:
                found.append(_awaited(api, order))
        except ApiError as err:
            echo(f"{name}: {err}", err=True)
            failed.append(name)
    answer: dict[str, object] = {"items": found, "failed": failed}
    if no_wait:
        answer["ordered"] = ordered
    if html and not no_wait:
        write_page(html, page_of(found))
        answer["page"] = str(html)
    return answer


def _search_in(assessments: Sequence[Any]) -> str | None:
    """Return when callers were searched for the first of them: once is enough for all."""
    return next(filter(None, (one["callers_searched_at"] for one in assessments)), None)


def _order(api: ApiClient, environment: str, about: Mapping[str, str | None]) -> Any:
    body = {name: value for name, value in about.items() if value is not None}
    path = ("environments", environment, "assessment")
    return api.send(ApiCall(method="POST", path=path, body=body))


def _shown_order(api: ApiClient, identity: str) -> Any:
    return api.send(ApiCall(method="GET", path=("assessments", identity)))


def _awaited(api: ApiClient, order: Any) -> Any:
    """Return the assessment at its end, and say meanwhile how far it is; raises `ApiError`."""
    said, looks = "", iter(LOOKS)
    try:
        while order["state"] not in _ENDED:
            if (text := _progress(order)) != said:
                echo(text, err=True)
            said = text
            time.sleep(next(looks, LOOKS[-1]))
            order = _looked_at(api, order)
    except KeyboardInterrupt:
        echo(f"The assessment goes on. Look at it: {_resume(order)}", err=True)
        raise
    if order["assessment"] is None:
        text = f"The assessment is {order['state']}: {order['reason']} {order['instruction']}"
        raise ApiError(text.strip(), ExitCode.ACTION_REQUIRED)
    return order["assessment"]


def _looked_at(api: ApiClient, order: Any) -> Any:
    """Return it as it is now; an app that gives no answer for a while is waited for."""
    try:
        return _shown_order(api, order["id"])
    except ApiError as err:
        if err.exit_code is not ExitCode.SERVICE_UNAVAILABLE:
            raise
        echo(str(err), err=True)
        return order


def _progress(order: Any) -> str:
    read = order["progress"]
    if read is None:
        text = "nothing is read yet"
    else:
        pages = number_of(read["pages"], "page")
        text = f"{pages} read, {number_of(read['flows'], 'flow')} ({read['source']})"
    why = f"; {order['reason']}" if order["reason"] else ""
    return f"{order['environment_id']}: {text}{why}"


def _resume(order: Any) -> str:
    return f"cmkflow assess show --resume {order['id']}"


def _shown(assessment: Any) -> RenderableType:
    effort = assessment["effort"]
    head = facts(
        {
            "Environment": f"{assessment['display_name']} ({assessment['environment_id']})",
            "Key": assessment["phase"],
            "Effort": (
                f"{number_of(effort['copies'], 'flow')} to copy, "
                f"{number_of(effort['callers'], 'caller')} to change, "
                f"{effort['manual_callers']} by hand"
            ),
            "Calls": (
                f"{effort['calls']} in about {number_of(effort['minutes'], 'minute')} "
                f"({effort['share_of_daily_pool']:.2%} of the daily pool), then "
                f"{number_of(effort['no_call_days'], 'quiet day')}"
            ),
            **({"Perhaps more": effort["gap"]} if effort["gap"] else {}),
        }
    )
    flows = [_flow_row(flow) for flow in assessment["flows"]]
    titles = ("Flow", "Why", "Held back by", "Holds back", "Callers")
    lines = [
        finding_text(section["topic"], finding)
        for section in assessment["sections"]
        for finding in section["findings"]
    ]
    parts: list[RenderableType] = [head]
    if flows:
        parts.append(table(titles, flows))
        parts += _first_steps(assessment["flows"])
    return Group(*parts, *lines, Text())


def _flow_row(flow: Any) -> tuple[str, ...]:
    """Return the short of it; `-o json` and `--html` have the rest."""
    callers = [_caller(one) for one in flow["callers"]]
    more = ["perhaps more"] if flow["callers_unknown_reason"] else []
    doubt = "may stay: " if flow["stays_on_microsoft_key"] is None else ""
    return (
        "\n".join(filter(None, (flow["display_name"], flow["owner"], *flow["co_owners"]))),
        doubt + ", ".join(REASONS.get(reason, reason) for reason in flow["reasons"]),
        "\n".join(" > ".join(chain) for chain in flow["parent_chains"]),
        ", ".join(flow["blocks_flows"]),
        "\n".join([*callers, *more]),
    )


def _caller(caller: Any) -> str:
    notes = {"by hand": caller["manual"], "broken today": caller["is_broken"]}
    told = ", ".join(note for note, holds in notes.items() if holds)
    return f"{caller['label']} ({told})" if told else str(caller["label"])


def _first_steps(flows: Sequence[Any]) -> list[Text]:
    """Return each advice once, with the flows that it is for and the ids that commands take."""
    groups: dict[str, list[Any]] = {}
    for flow in flows:
        groups.setdefault(flow["recommendations"][0] if flow["recommendations"] else "", []).append(
            flow
        )
    groups.pop("", None)
    lines = [Text("What to do first", style="bold")] if groups else []
    for advice, advised in groups.items():
        lines.append(Text(advice))
        lines += [Text(f"  {one['workflow_id']}  {one['display_name']}") for one in advised]
    return lines
