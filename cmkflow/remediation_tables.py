"""Format lists of remediations, and the results of actions."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import Paragraph, format_names
from cmkflow.timestamps import format_minute
from shared.domain.plans.display_text import format_remediation_state

#: At the end of the key of a start without a key.
_GENERATED_ID = re.compile(r" [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def format_kill_switch_warning(names: Sequence[str]) -> Text:
    """Return the warning after an action on flows or environments while the kill switch is on."""
    text = (
        "The kill switch is on. Until it is off (cmkflow kill-switch off), the app does not change "
        f"{format_names(names, 5)}, except to turn on a flow that a cutover left off."
    )
    return Text(text, style="bold red")


def format_count_sentence(number: int, noun: str, participle: str) -> Text:
    """Return a sentence such as `3 jobs are retried.`"""
    subject = f"1 {noun} is" if number == 1 else f"{number} {noun}s are"
    return Text(f"{subject} {participle}.")


def build_remediation_table(answer: Any) -> RenderableType:
    """Return remediations as a table, followed by the stored rows that cannot be read."""
    listing = Listing(
        columns=_COLUMNS, items=answer["items"], note=_format_note, next=answer["next"]
    )
    return Group(listing, *format_unreadable_rows(answer))


def format_unreadable_rows(answer: Any) -> Iterable[RenderableType]:
    """Yield each stored row that this version of the app cannot read, and its fix."""
    for one in answer["unreadable_rows"]:
        yield Text(_format_unreadable_row(one), style="bold red")
        yield Paragraph(text=one["fix"])


def list_unreadable_rows(answer: Any) -> list[str]:
    """Return a sentence about each stored row that this version of the app cannot read, with its
    fix.
    """
    return [f"{_format_unreadable_row(one)} {one['fix']}" for one in answer["unreadable_rows"]]


def _format_unreadable_row(row: Any) -> str:
    return f"Cannot read row {'/'.join(row['row'])}: {row['message']}"


def format_both_off_warning(number: int, where: str) -> str:
    """Return a warning that `number` flows have original and copy off, or "" for 0."""
    if not number:
        return ""
    return f"ORIGINAL AND COPY ARE BOTH OFF: {number} flow{'s' if number > 1 else ''}; {where}"


def _format_note(item: Any) -> str:
    return format_both_off_warning(item["progress"]["both_off_count"], "cmkflow remediation show")


def _format_start_source(item: Any) -> str:
    remediation = item["remediation"]
    idempotency_key, source = remediation["idempotency_key"], str(remediation["start_source"])
    if source != "api_request":
        return source.replace("_", " ")
    return _GENERATED_ID.sub("", str(idempotency_key))


def _format_state(item: Any) -> str:
    return format_remediation_state(item["progress"]["state"], item["progress"]["not_migrated"])


_COLUMNS = (
    Column("Remediation", lambda one: one["remediation"]["id"], Kind.ID),
    Column("Created (UTC)", lambda one: format_minute(one["remediation"]["created_at"]), Kind.WORD),
    Column("Mode", lambda one: one["remediation"]["mode"], Kind.WORD),
    Column("Source", _format_start_source, is_optional=True),
    Column("State", _format_state, Kind.WORD),
    Column("Blocked", lambda one: one["progress"]["action_required_count"], Kind.NUMBER),
)
