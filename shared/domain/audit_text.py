"""Describe audit entries in words: who requested what, with which result and changes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from shared.domain.principal import PrincipalKind

#: Each operation as an infinitive and as a past tense.
_OPERATIONS: Mapping[str, tuple[str, str]] = {
    "start_assessment": ("start an assessment", "started an assessment"),
    "start_remediation": ("start a remediation", "started a remediation"),
    "approve_remediation": ("approve the plan", "approved the plan"),
    "choose_url_secrets": ("choose URL secrets", "chose URL secrets"),
    "cancel_remediation": ("cancel the remediation", "cancelled the remediation"),
    "retry_remediation": ("retry blocked flows", "retried blocked flows"),
    "roll_back_remediation": ("roll back flows", "rolled back flows"),
    "update_environment_settings": ("change the settings", "changed the settings"),
    "change_environment_settings": (
        "change the settings with a form",
        "changed the settings with a form",
    ),
    "ignore_issue": ("ignore a firewall issue", "ignored a firewall issue"),
    "apply_firewall_fix": ("apply a firewall fix", "applied a firewall fix"),
    "revert_firewall_fix": ("revert a firewall fix", "reverted a firewall fix"),
    "turn_on_solution_setting": (
        "turn the solution setting on",
        "turned the solution setting on",
    ),
    "revert_solution_setting": ("revert the solution setting", "reverted the solution setting"),
    "mark_support_request_filed": (
        "mark a support request as filed",
        "marked a support request as filed",
    ),
    "reopen_support_request": ("reopen a support request", "reopened a support request"),
    "refresh_service_tag_list": ("read the address ranges", "read the address ranges"),
    "check_keys": ("check the keys", "checked the keys"),
    "set_kill_switch": ("set the kill switch", "set the kill switch"),
    "turn_kill_switch_on": ("turn the kill switch on", "turned the kill switch on"),
    "turn_kill_switch_off": ("turn the kill switch off", "turned the kill switch off"),
    "archive_runs": ("archive run history", "archived run history"),
    "schedule_deletions": ("schedule deletions", "scheduled deletions"),
    "cancel_deletions": ("cancel deletions", "cancelled deletions"),
    "declare_callers": ("declare callers", "declared callers"),
    "import_callers": ("declare callers of a file", "declared callers of a file"),
    "declare_called_flow": ("declare a caller", "declared a caller"),
    "confirm_caller": ("confirm a caller", "confirmed a caller"),
    "confirm_by_link": ("confirm a caller by its link", "confirmed a caller by its link"),
    "remove_declared_caller": ("remove a declared caller", "removed a declared caller"),
}
#: Titles of pages whose route has another name.
_PAGE_TITLES = {"status": "overview"}
_PAGE = re.compile(r"show_(\w+)_page")
_TARGET = re.compile(r"/api/(?P<kind>[\w-]+)(?:/(?P<id>[^/]+))?")
#: Members of a state that say what a request was about.
_SUBJECTS = frozenset({"remediation", "assessment", "created_at"})


class AuditResult(StrEnum):
    """The result of a request."""

    DONE = "done"
    REJECTED = "rejected"  #: the app did not do it, and says why
    FAILED = "failed"  #: an error; only the affected objects show whether it took effect
    UNKNOWN = "unknown"  #: the request was interrupted, or its result was not recorded


class TargetKind(StrEnum):
    """The kind of object that a request is about."""

    REMEDIATION = "remediation"
    ENVIRONMENT = "environment"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTarget:
    """The object that a request is about."""

    kind: TargetKind
    #: An id; of another object its name, such as `kill-switch`.
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A changed member of an object's state. A missing value is an empty text."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        after = self.after or "none"
        return f"{self.name} {self.before} → {after}" if self.before else f"{self.name} {after}"


def map_operations_to_phrases() -> dict[str, str]:
    """Return the infinitive phrase of each operation, by the operation's name."""
    return {name: words[0] for name, words in _OPERATIONS.items()}


def is_page_view(operation: str) -> bool:
    """Return whether an operation opens a page."""
    return bool(_PAGE.fullmatch(operation))


def find_audit_result(status: int | None) -> AuditResult:
    """Return a request's result from its HTTP status, or `UNKNOWN` if no status was recorded."""
    if status is None:
        return AuditResult.UNKNOWN
    if status < HTTPStatus.BAD_REQUEST:
        return AuditResult.DONE
    is_rejected = status < HTTPStatus.INTERNAL_SERVER_ERROR
    return AuditResult.REJECTED if is_rejected else AuditResult.FAILED


def describe_principal(kind: str, who: str) -> str:
    """Return a principal's name, or `function key` with the name that its holder wrote.

    Nobody has verified that name.
    """
    if kind == PrincipalKind.FUNCTION_KEY:
        return f"function key ({who})" if who else "function key"
    return who


def describe_operation(operation: str, status: int | None) -> str:
    """Describe an operation in the past tense, as done, tried without success, or requested."""
    plain = operation.replace("_", " ")
    if page := _PAGE.fullmatch(operation):
        plain = f"open the {_PAGE_TITLES.get(page[1], page[1].replace('_', ' '))} page"
    infinitive, past = _OPERATIONS.get(operation, (plain, f"requested {plain}"))
    match find_audit_result(status):
        case AuditResult.DONE:
            words = past
        case AuditResult.UNKNOWN:
            words = f"requested to {infinitive}"
        case AuditResult.REJECTED | AuditResult.FAILED:
            words = f"tried to {infinitive}"
    return words[:1].upper() + words[1:]


def find_audit_target(path: str, state_after: str) -> AuditTarget:
    """Return the object that a request was about, from its path.

    The id of a new remediation or assessment is in `state_after`.
    """
    found = _TARGET.match(path)
    if not found:
        return AuditTarget(kind=TargetKind.OTHER, id=path)
    made = parse_state(state_after)
    if found["kind"] in ("remediations", "assessments"):
        identity = found["id"] or made.get("remediation") or made.get("assessment")
        if identity:
            return AuditTarget(kind=TargetKind.REMEDIATION, id=str(identity))
    if found["kind"] == "environments" and found["id"]:
        return AuditTarget(kind=TargetKind.ENVIRONMENT, id=found["id"])
    return AuditTarget(kind=TargetKind.OTHER, id=found["kind"])


def list_state_changes(state_before: str, state_after: str) -> list[StateChange]:
    """Return the members that differ between two states.

    Leaves out the members that identify the object. A state that was cut off counts as empty.
    """
    before, after = parse_state(state_before), parse_state(state_after)
    changes = []
    for name in dict.fromkeys((*before, *after)):
        old, new = _format_changed_values(before.get(name), after.get(name))
        if old != new and name not in _SUBJECTS:
            words = f"{name} version" if name.endswith(" approved") else name.replace("_", " ")
            changes.append(StateChange(name=words, before=old, after=new))
    return changes


def format_changes(state_before: str, state_after: str) -> str:
    """Return all changes between two states in one line."""
    return "; ".join(map(str, list_state_changes(state_before, state_after)))


def replace_known_ids(text: str, names: Mapping[str, str]) -> str:
    """Return the text with each id replaced by its name in `names`."""
    for identity, name in names.items():
        text = text.replace(identity, name)
    return text


def parse_state(text: str) -> dict[str, Any]:
    """Parse a state or request body. Returns an empty dict if it is not a JSON object."""
    try:
        members = json.loads(text)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _format_changed_values(before: Any, after: Any) -> tuple[str, str]:
    if isinstance(before, bool) and isinstance(after, bool):
        return "yes" if before else "no", "yes" if after else "no"
    return _format_value(before), _format_value(after)


def _format_value(value: Any) -> str:
    if value is None or value is False or value in ("", [], {}):
        return ""
    match value:
        case True:
            return "yes"
        case list():
            return ", ".join(map(_format_value, value))
        case dict() if all(type(one) is int for one in value.values()):
            counts = ((str(name).replace("_", " "), number) for name, number in value.items())
            return ", ".join(f"{number} {name}" for name, number in counts)
        case dict():
            return ", ".join(f"{name}: {_format_value(one)}" for name, one in value.items())
        case _:
            return str(value)
