"""Format the audit log: who did what to which object, with which result."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from rich.text import Text

from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import shorten_command, shorten_resource_ids
from cmkflow.timestamps import format_minute
from shared.domain.principal import PrincipalKind

_TARGET = re.compile(r"/api/(?P<kind>[\w-]+)(?:/(?P<id>[^/]+))?")
#: Members that other columns show, or that nobody reads.
_SHOWN_ELSEWHERE = {"remediation", "created_at"}
#: Words of operations that the column *About* shows.
_ABOUT_WORDS = {"remediation", "environment"}
_STYLES = {"rejected": "red", "failed": "bold red", "unknown": "yellow"}


def audit_table(answer: Any, names: Mapping[str, str]) -> Listing:
    """Return one line per entry, and a note about what changed; `names` are those of ids."""

    def format_name(text: str) -> str:
        for identity, name in names.items():
            text = text.replace(identity, name)
        return shorten_command(shorten_resource_ids(text))

    columns = (
        Column("Time (UTC)", lambda one: format_minute(one["recorded_at"]), Kind.WORD),
        Column("Who", _format_principal),
        Column("Action", _format_action, Kind.WORD),
        Column("About", lambda one: format_name(_format_target(one))),
        Column("Result", _format_result, Kind.WORD),
    )
    return Listing(
        columns=columns,
        items=answer["items"],
        note=lambda one: format_name(one["message"] or _format_changes(one)),
        next=answer["next"],
    )


def _format_principal(entry: Any) -> str:
    """Return the name; the name that the holder of a function key gave is marked as not
    verified.
    """
    if entry["kind"] == PrincipalKind.FUNCTION_KEY:
        return f"function key ({entry['who']})" if entry["who"] else "function key"
    return str(entry["who"])


def _format_action(entry: Any) -> str:
    """Return what was done, without the words for which there is a column."""
    words = entry["operation"].split("_")
    return " ".join(word for word in words if word not in _ABOUT_WORDS).capitalize()


def _format_target(entry: Any) -> str:
    """Return what a request was about: an environment, a remediation, or a part of the app."""
    found = _TARGET.match(entry["target"])
    if not found:
        return str(entry["target"])
    started = _parse_members(entry["state_after"]).get("remediation")
    identity = found["id"] or started
    if found["kind"] == "remediations" and identity:
        return f"#{identity}"
    is_object = found["kind"] in ("environments", "assessments")
    return str(identity if identity and is_object else found["kind"])


def _format_result(entry: Any) -> Text:
    status = entry["status"]
    if status is None:
        word = "unknown"
    elif status < HTTPStatus.BAD_REQUEST:
        word = "done"
    elif status < HTTPStatus.INTERNAL_SERVER_ERROR:
        word = "rejected"
    else:
        word = "failed"
    return Text(word, style=_STYLES.get(word, ""))


def _format_changes(entry: Any) -> str:
    """Return each member that changed, with its value before and after."""
    before, after = _parse_members(entry["state_before"]), _parse_members(entry["state_after"])
    parts = []
    for name in dict.fromkeys((*before, *after)):
        old, new = _format_value(before.get(name)), _format_value(after.get(name))
        if old == new or name in _SHOWN_ELSEWHERE:
            continue
        words = name.replace("_", " ")
        parts.append(f"{words} {old or 'none'} → {new or 'none'}" if old else f"{words} {new}")
    return ", ".join(parts)


def _parse_members(text: str) -> dict[str, Any]:
    try:
        members = json.loads(text)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _format_value(value: Any) -> str:
    if value in (None, "", False) or value == [] or value == {}:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, list):
        return " ".join(map(_format_value, value))
    return str(value) if isinstance(value, str | int | float) else json.dumps(value)
