"""Format deletions of retired originals, and the originals that can be deleted."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.listing import Column, Kind, Listing
from cmkflow.run_archive_commands import format_archive_table
from cmkflow.timestamps import format_minute
from shared.domain.jobs.deletion_text import WHY_DELETE, describe_deletion_result

_COLUMNS = (
    Column("Flow", itemgetter("display_name")),
    Column("Id", itemgetter("original_id"), Kind.ID),
    Column("State", itemgetter("state"), Kind.WORD),
    Column("Not before (UTC)", lambda one: format_minute(one["delete_at"]), Kind.WORD),
    Column("Approved by", itemgetter("approved_by")),
)
#: Where an original is.
_PLACE = (
    Column(
        "Environment",
        lambda one: one["environment_name"] or one["environment_id"],
        is_optional=True,
    ),
    Column("Remediation", itemgetter("remediation_id"), Kind.ID),
)


def build_deletion_table(items: Sequence[Any]) -> RenderableType:
    """Return the deletions as a table, followed by the actions that they require."""
    return Group(
        Listing(columns=_COLUMNS, items=items, note=_format_deletion_result),
        *_list_actions_required(items),
    )


def build_tenant_deletion_table(answer: Any) -> RenderableType:
    """Return one page of the tenant's deletions as a table, followed by required actions."""
    return Group(
        Listing(
            columns=(*_COLUMNS, *_PLACE),
            items=answer["items"],
            note=_format_deletion_result,
            next=answer["next"],
        ),
        *_list_actions_required(answer["items"]),
    )


def _list_actions_required(items: Sequence[Any]) -> list[Text]:
    return [Text(_format_action_required(one)) for one in items if one["fix"]]


def _format_action_required(deletion: Any) -> str:
    why = f"{deletion['display_name']} ({deletion['reason_code']}): {deletion['message']}"
    return f"{why}\n  Fix: {deletion['fix']}"


def _format_deletion_result(deletion: Any) -> str:
    until = deletion["restorable_until"]
    return describe_deletion_result(
        deletion["message"],
        deletion["notes"],
        restorable_until=datetime.fromisoformat(until) if until else None,
        is_on_microsoft_key_list=deletion["is_on_microsoft_key_list"],
    )


def format_deletions_of_remediation(answer: Any) -> RenderableType:
    """Return what `cmkflow deletion list` shows for one remediation."""
    parts: list[RenderableType] = []
    if answer["items"]:
        parts.append(build_deletion_table(answer["items"]))
    if answer["deletable_originals"]:
        parts.append(Text("Retired originals that can be deleted:", style="bold"))
        parts += describe_originals_to_delete(answer["deletable_originals"])
        parts.append(Text(WHY_DELETE, style="yellow"))
    if not parts:
        parts.append(Text("This remediation has no retired original yet."))
    archived = {"archives": answer["run_archives"], "support_windows": answer["support_windows"]}
    return Group(*parts, format_archive_table(archived))


def describe_originals_to_delete(
    candidates: Iterable[Any], replaced: Iterable[Any] = ()
) -> Iterable[Text]:
    """Yield the lines about each original and the consequences of its deletion. `replaced` contains
    scheduled deletions that get another date.
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
