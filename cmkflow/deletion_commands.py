"""`cmkflow deletion`: delete retired originals on a date, or keep them."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.listing import Listing, ShortId
from cmkflow.names import Flows, RemediationId
from cmkflow.remediation_commands import Yes
from cmkflow.remediation_tables import counted
from cmkflow.run_archive_commands import archive_table
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm, one_line
from cmkflow.timestamps import minute
from shared.domain.jobs.deletion_states import DELETION_STATES
from shared.domain.name_lookup import short_ids

app = typer.Typer(no_args_is_help=True, help="Delete retired originals on a date, or keep them.")

FINISH_LINE = (
    "Originals that are off but stand may still count as protected by Microsoft's key: the "
    "warning in the admin center can stay until they are deleted."
)


def deletion_table(items: Sequence[Any]) -> RenderableType:
    """Return two lines for each delete: its date and who approved it, and what became of it."""
    ids = short_ids(one["original_id"] for one in items)
    rows = [
        (
            one["display_name"],
            ShortId(one["original_id"], ids[one["original_id"]]),
            one["state"],
            minute(one["on"]),
            one["approved_by"],
        )
        for one in items
    ]
    needs = [Text(_need(one)) for one in items if one["instruction"]]
    titles = ("Flow", "Id", "State", "Not before (UTC)", "Approved by")
    return Group(Listing(titles=titles, rows=rows, notes=list(map(_became, items))), *needs)


def _need(deletion: Any) -> str:
    why = f"{deletion['display_name']} ({deletion['code']}): {deletion['reason']}"
    return f"{why}\n  To do: {deletion['instruction']}"


def _became(deletion: Any) -> str:
    """Return why it is no further, and what is left of what it deleted."""
    listed = {True: "still on Microsoft's list", False: "off Microsoft's list", None: ""}
    restorable = minute(deletion["restorable_until"])
    parts = (
        deletion["reason"],
        *deletion["notes"],
        f"restorable until {restorable}" if restorable else "",
        listed[deletion["is_on_microsoft_key_list"]],
    )
    return "; ".join(filter(None, parts))


def _has_date(deletion: Any) -> bool:
    """Say whether a new order gives it another date."""
    facts = DELETION_STATES[deletion["state"]]
    return facts.can_be_cancelled and not facts.needs_action


def _listed(answer: Any) -> RenderableType:
    parts: list[RenderableType] = []
    if answer["items"]:
        parts.append(deletion_table(answer["items"]))
    if answer["candidates"]:
        parts.append(Text("Retired originals that stand:", style="bold"))
        parts += _candidates(answer["candidates"])
        parts.append(Text(FINISH_LINE, style="yellow"))
    if not parts:
        parts.append(Text("No original of this remediation is retired yet."))
    archived = {"archives": answer["run_archives"], "support_windows": answer["support_windows"]}
    return Group(*parts, archive_table(archived))


def _candidates(candidates: Iterable[Any], replaced: Iterable[Any] = ()) -> Iterable[Text]:
    """Yield what each is and what its delete ends; `replaced`: deletes that a new order moves."""
    ordered = {one["job_id"]: one for one in replaced}
    for one in candidates:
        yield Text.assemble(
            (one["display_name"], "bold"),
            f"  {one['original_id']}  not before {minute(one['earliest'])} UTC",
        )
        if earlier := ordered.get(one["job_id"]):
            on, by = minute(earlier["on"]), earlier["approved_by"]
            yield Text(f"  In place of the delete on {on} UTC, approved by {by}.")
        if one["archive"]:
            yield Text(f"  Definition: {one['archive']}")
        yield from (Text(f"  {sentence}") for sentence in one["ends"])


@api_command(app, "list", show=_listed)
def list_deletions(api: ApiClient, remediation: RemediationId) -> object:
    """Show deletes, originals that stand, what is archived, and the last day for a ticket."""
    return api.send(ApiCall(method="GET", path=("remediations", remediation, "deletions")))


@api_command(app, "schedule", show=lambda answer: deletion_table(answer["items"]))
def schedule_deletions(
    api: ApiClient,
    remediation: RemediationId,
    date: Annotated[
        str,
        typer.Option("--date", help="YYYY-MM-DD (its start, UTC), or a time with a zone."),
    ],
    by: Name,
    flows: Flows = None,
    yes: Yes = False,
) -> object:
    """Approve the delete of retired originals on a date; names them and asks first.

    An order for one that has a date already replaces that date.
    """
    call = ApiCall(method="GET", path=("remediations", remediation, "deletions"))
    shown = one_line(api.send(call))
    chosen = _chosen(shown, flows)
    if not yes:
        replaced = [one for one in shown["items"] if _has_date(one)]
        Terminal(stderr=True).print(Group(*_candidates(chosen, replaced)))
        names = ", ".join(one["display_name"] for one in chosen)
        confirm(f"Delete {names} on {date}?")
    body = {"on": date, "by": by, "flows": [one["original_id"] for one in chosen]}
    return api.send(
        ApiCall(method="POST", path=("remediations", remediation, "deletions"), body=body)
    )


@api_command(
    app, "cancel", show=lambda answer: counted(answer["cancelled"], "delete", "is cancelled")
)
def cancel_deletions(
    api: ApiClient, remediation: RemediationId, by: Name, flows: Flows = None
) -> object:
    """Cancel deletes that stand: the originals are kept."""
    body: dict[str, object] = {"by": by}
    if flows:
        body["flows"] = flows
    path = ("remediations", remediation, "deletions", "cancel")
    return api.send(ApiCall(method="POST", path=path, body=body))


def _chosen(shown: Any, flows: list[str] | None) -> list[Any]:
    """Return the originals that are meant: what is confirmed is what is ordered."""
    standing = shown["candidates"]
    if not flows:
        if not standing:
            raise ApiError("This remediation has no retired original that stands.")
        return list(standing)
    wanted = {flow.lower() for flow in flows}
    chosen = [one for one in standing if wanted & {one["original_id"], one["flow_name"].lower()}]
    named = {name for one in chosen for name in (one["original_id"], one["flow_name"].lower())}
    if missing := sorted(wanted - named):
        raise ApiError(
            f"Not retired, or deleted already: {', '.join(missing)}. See `cmkflow deletion list`."
        )
    return chosen
