"""`cmkflow deletion`: schedule, cancel and list deletions of retired originals."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from operator import itemgetter
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ApiError, ExitCode
from cmkflow.api_command import api_command
from cmkflow.listing import Column, Kind, Listing
from cmkflow.names import Flows, RemediationId
from cmkflow.remediation_commands import Yes
from cmkflow.remediation_tables import format_counted
from cmkflow.run_archive_commands import archive_table
from cmkflow.signed_in_name import Name
from cmkflow.terminal import Terminal, confirm, remove_line_breaks
from cmkflow.timestamps import format_minute
from shared.domain.jobs.deletion_states import DELETION_STATES
from shared.domain.jobs.deletion_text import WHY_DELETE, describe_result

app = typer.Typer(
    no_args_is_help=True, help="Schedule the deletion of retired originals, or keep them."
)

_COLUMNS = (
    Column("Flow", itemgetter("display_name")),
    Column("Id", itemgetter("original_id"), Kind.ID),
    Column("State", itemgetter("state"), Kind.WORD),
    Column("Not before (UTC)", lambda one: format_minute(one["delete_at"]), Kind.WORD),
    Column("Approved by", itemgetter("approved_by")),
)


def deletion_table(items: Sequence[Any]) -> RenderableType:
    """Return the table of deletions, with a note for each about its result."""
    needs = [Text(_format_action_required(one)) for one in items if one["fix"]]
    return Group(Listing(columns=_COLUMNS, items=items, note=_format_deletion_result), *needs)


def _format_action_required(deletion: Any) -> str:
    why = f"{deletion['display_name']} ({deletion['reason_code']}): {deletion['message']}"
    return f"{why}\n  Fix: {deletion['fix']}"


def _format_deletion_result(deletion: Any) -> str:
    until = deletion["restorable_until"]
    return describe_result(
        deletion["message"],
        deletion["notes"],
        restorable_until=datetime.fromisoformat(until) if until else None,
        is_on_microsoft_key_list=deletion["is_on_microsoft_key_list"],
    )


def _has_date(deletion: Any) -> bool:
    """Return whether scheduling it again replaces its date."""
    facts = DELETION_STATES[deletion["state"]]
    return facts.can_be_cancelled and not facts.needs_action


def _format_list(answer: Any) -> RenderableType:
    parts: list[RenderableType] = []
    if answer["items"]:
        parts.append(deletion_table(answer["items"]))
    if answer["deletable_originals"]:
        parts.append(Text("Retired originals that can be deleted:", style="bold"))
        parts += _describe_originals(answer["deletable_originals"])
        parts.append(Text(WHY_DELETE, style="yellow"))
    if not parts:
        parts.append(Text("This remediation has no retired original yet."))
    archived = {"archives": answer["run_archives"], "support_windows": answer["support_windows"]}
    return Group(*parts, archive_table(archived))


def _describe_originals(candidates: Iterable[Any], replaced: Iterable[Any] = ()) -> Iterable[Text]:
    """Yield each original and the consequences of its deletion; `replaced` are earlier
    deletions.
    """
    ordered = {one["job_id"]: one for one in replaced}
    for one in candidates:
        yield Text.assemble(
            (one["display_name"], "bold"),
            f"  {one['original_id']}  not before {format_minute(one['earliest_delete_at'])} UTC",
        )
        if earlier := ordered.get(one["job_id"]):
            on, by = format_minute(earlier["delete_at"]), earlier["approved_by"]
            yield Text(f"  Replaces the deletion on {on} UTC, approved by {by}.")
        if one["archive_name"]:
            yield Text(f"  Definition: {one['archive_name']}")
        yield from (Text(f"  {sentence}") for sentence in one["consequences"])


@api_command(app, "list", show=_format_list)
def list_deletions(api: ApiClient, remediation: RemediationId) -> object:
    """Show deletions, retired originals, run archives, and the end of each support window."""
    return api.send(ApiCall(method="GET", path=("remediations", remediation, "deletions")))


@api_command(app, "schedule", show=lambda answer: deletion_table(answer["items"]))
def schedule_deletions(
    api: ApiClient,
    remediation: RemediationId,
    day: Annotated[
        str,
        typer.Option("--date", help="Date (00:00 UTC) or time with time zone."),
    ],
    by: Name,
    flows: Flows = None,
    yes: Yes = False,
) -> object:
    """Schedule the deletion of retired originals; lists them and asks first.

    For an original that has a date already, the new date replaces it.
    """
    moment = _parse_date(day)
    call = ApiCall(method="GET", path=("remediations", remediation, "deletions"))
    shown = remove_line_breaks(api.send(call))
    chosen = _select_originals(shown, flows)
    _require_later(chosen, moment)
    if not yes:
        replaced = [one for one in shown["items"] if _has_date(one)]
        Terminal(stderr=True).print(Group(*_describe_originals(chosen, replaced)))
        names = ", ".join(one["display_name"] for one in chosen)
        confirm(f"Delete {names} on {day}?")
    body = {
        "delete_at": day,
        "approved_by": by,
        "flow_ids": [one["original_id"] for one in chosen],
    }
    return api.send(
        ApiCall(method="POST", path=("remediations", remediation, "deletions"), body=body)
    )


@api_command(
    app,
    "cancel",
    show=lambda answer: format_counted(answer["cancelled_count"], "deletion", "is cancelled"),
)
def cancel_deletions(
    api: ApiClient, remediation: RemediationId, by: Name, flows: Flows = None
) -> object:
    """Cancel scheduled deletions, so that the originals are kept."""
    body: dict[str, object] = {"cancelled_by": by}
    if flows:
        body["flow_ids"] = flows
    path = ("remediations", remediation, "deletions", "cancel")
    return api.send(ApiCall(method="POST", path=path, body=body))


def _parse_date(text: str) -> datetime:
    """Return the time that the option means; raise `BadParameter`."""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text), time.min, UTC)
    moment = None
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is neither a date such as 2030-01-31 nor a time with a time zone.",
            param_hint="--date",
        )
    return moment


def _require_later(originals: Sequence[Any], moment: datetime) -> None:
    """Raise `ApiError` unless all originals can be deleted then, before anything is asked."""
    early = [one for one in originals if moment < datetime.fromisoformat(one["earliest_delete_at"])]
    if early:
        lines = [
            f"  {one['display_name']}: not before {format_minute(one['earliest_delete_at'])} UTC"
            for one in early
        ]
        text = "Nothing was scheduled: the date is too early."
        raise ApiError("\n".join([text, *lines]), ExitCode.USAGE_ERROR)


def _select_originals(shown: Any, flows: list[str] | None) -> list[Any]:
    """Return the selected originals, so that exactly those that were confirmed are deleted."""
    deletable = shown["deletable_originals"]
    if not flows:
        if not deletable:
            raise ApiError("This remediation has no retired original that can be deleted.")
        return list(deletable)
    wanted = {flow.lower() for flow in flows}
    chosen = [one for one in deletable if wanted & {one["original_id"], one["flow_name"].lower()}]
    named = {name for one in chosen for name in (one["original_id"], one["flow_name"].lower())}
    if missing := sorted(wanted - named):
        raise ApiError(
            f"Not retired, or deleted already: {', '.join(missing)}. List them: cmkflow "
            "deletion list."
        )
    return chosen
