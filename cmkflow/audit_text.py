"""Format the audit log: who did what to which object, with which result."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import shorten_command, shorten_resource_ids
from cmkflow.timestamps import format_minute
from shared.domain.audit_text import (
    AuditResult,
    TargetKind,
    describe_operation,
    describe_principal,
    find_result,
    find_target,
    format_changes,
    with_names,
)

_STYLES = {
    AuditResult.REJECTED: "red",
    AuditResult.FAILED: "bold red",
    AuditResult.UNKNOWN: "yellow",
}


def build_audit_table(answer: Any, names: Mapping[str, str]) -> Listing:
    """Return one line per entry, and a note about what changed; `names` are those of ids."""

    def format_name(text: str) -> str:
        return shorten_command(shorten_resource_ids(with_names(text, names)))

    columns = (
        Column("Time (UTC)", lambda one: format_minute(one["recorded_at"]), Kind.WORD),
        Column("Who", lambda one: describe_principal(one["kind"], one["who"])),
        Column("Action", lambda one: describe_operation(one["operation"], one["status"])),
        Column("About", lambda one: format_name(_format_target(one))),
        Column("Result", _format_result, Kind.WORD),
    )
    return Listing(
        columns=columns,
        items=answer["items"],
        note=lambda one: format_name(
            one["message"] or format_changes(one["state_before"], one["state_after"])
        ),
        # A warning has the next page if the search ended early.
        next="" if answer["searched_until"] else answer["next"],
    )


def _format_target(entry: Any) -> str:
    """Return what a request was about: an environment, a remediation, or a part of the app."""
    target = find_target(entry["target"], entry["state_after"])
    return f"#{target.id}" if target.kind is TargetKind.REMEDIATION else target.id


def _format_result(entry: Any) -> Text:
    result = find_result(entry["status"])
    return Text(result, style=_STYLES.get(result, ""))
