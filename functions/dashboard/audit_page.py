"""Build the Audit page: who requested which change when, and whether its entry is sealed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from functions.dashboard.page_layout import PageContext, render_page
from functions.dashboard.titles import compute_natural_sort_key
from shared.domain.audit import AuditEntry
from shared.domain.audit_text import (
    AuditResult,
    TargetKind,
    describe_operation,
    describe_principal,
    find_audit_result,
    find_audit_target,
    format_changes,
    is_page_view,
    list_state_changes,
    map_operations_to_phrases,
    parse_state,
    replace_known_ids,
)
from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.remediation import Remediation
from shared.html_pages import replace_ids_by_names
from shared.use_cases.compare_audit_page import EntryDifference, PageSeals
from shared.use_cases.read_audit_names import FLOWS_NAMED, AuditNames, list_flow_ids
from shared.use_cases.show_audit import AuditPage

_HERE = "/api/dashboard/audit"
#: Look and icon of each result.
_RESULTS = {
    AuditResult.DONE: ("done", ""),
    AuditResult.REJECTED: ("over", "stop"),
    AuditResult.FAILED: ("person", ""),
    AuditResult.UNKNOWN: ("wait", "unknown"),
}
#: Operations that say the new state of the kill switch.
_SWITCHES = frozenset({"turn_kill_switch_on", "turn_kill_switch_off"})
#: States whose codes are shown as words.
_STATES = frozenset(map(str, (*ApprovalPolicy, *EnvironmentJobState)))
#: The end of the name of a change: the version of the plan that was approved.
_APPROVED = " approved version"
#: Length of the changes in a line, and of each stored text in its details.
_LONGEST_CHANGES = 240
_LONGEST_TEXT = 1_000
#: Number of environments that a line names.
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a request is about, such as an environment or a flow, with a link to its page."""

    title: str
    url: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """An audit entry as the Audit page shows it."""

    entry: AuditEntry
    who: str
    action: str
    about: tuple[Place, ...]
    #: Number of flows that the request names, besides those in `about`.
    more_flows: int
    #: The members that changed, or why the request was rejected.
    text: str
    look: str
    shape: str
    result: AuditResult
    #: What the seals show about it, in words; `is_changed`: it differs from its seal.
    seal: str
    is_changed: bool
    #: Title and text of each stored text, shortened.
    stored: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditChoice:
    """The filter that the reader chose, and where the page starts."""

    #: The filter, as parameters of the page.
    parameters: Mapping[str, str]
    limit: int
    #: Start of the page; empty: the newest entry.
    after: str

    def build_url(self, path: str = _HERE, **more: str | int) -> str:
        query = urlencode({**self.parameters, **more})
        return f"{path}?{query}" if query else path


def build_audit_page(
    view: PageContext,
    choice: AuditChoice,
    found: AuditPage,
    names: AuditNames,
    seals: PageSeals,
    *,
    most_exported: int,
) -> str:
    environments = sorted(
        names.environments.items(), key=lambda one: compute_natural_sort_key(one[1] or one[0])
    )
    asked = choice.parameters.get("environment", "")
    if asked and asked not in names.environments:
        environments.append((asked, asked))
    return render_page(
        "audit",
        view,
        section="Audit",
        here=_HERE,
        choice=choice,
        found=found,
        lines=[_build_audit_line(one, names, seals) for one in found.items],
        environments=environments,
        operations=map_operations_to_phrases(),
        results=tuple(AuditResult),
        seals=seals,
        sealed_count=sum(seals.find_seal(one.sort_key) is not None for one in found.items),
        # An entry has two rows, and may be changed with both.
        differences=list(dict.fromkeys(map(_describe_difference, seals.entries))),
        most_exported=most_exported,
    )


def _build_audit_line(entry: AuditEntry, names: AuditNames, seals: PageSeals) -> AuditLine:
    result = find_audit_result(entry.status)
    flow_ids = list_flow_ids(entry)
    look, shape = _RESULTS[result]
    change = next((one for one in seals.entries if one.key == entry.sort_key), None)
    seal = seals.find_seal(entry.sort_key)
    sealed = f"In seal {seal.number} of {seal.ends_at:%Y-%m-%d %H:%M} UTC" if seal else "Not sealed"
    changes = format_changes(entry.state_before, entry.state_after)
    return AuditLine(
        entry=entry,
        who=describe_principal(entry.kind, entry.who) or "unknown",
        action=describe_operation(entry.operation, entry.status),
        about=tuple(_list_targets(entry, flow_ids, names)),
        more_flows=max(len(flow_ids) - FLOWS_NAMED, 0),
        text=_shorten_text(
            replace_ids_by_names(
                replace_known_ids(entry.message or _summarize_changes(entry), names.environments)
            ),
            _LONGEST_CHANGES,
        ),
        look=look,
        shape=shape,
        result=result,
        seal=f"{change.change.capitalize()} after seal {change.seal_number}" if change else sealed,
        is_changed=change is not None,
        stored=tuple(
            (title, _shorten_text(text, _LONGEST_TEXT))
            for title, text in (
                ("Request", entry.request_body),
                ("State before", entry.state_before),
                ("State after", entry.state_after),
                ("Changes", changes if len(changes) > _LONGEST_CHANGES else ""),
            )
            if text not in ("", "{}")
        ),
    )


def _summarize_changes(entry: AuditEntry) -> str:
    if entry.operation in _SWITCHES:
        justification = parse_state(entry.state_after).get("justification")
        return f"Reason: {justification}" if justification else ""
    changes = list_state_changes(entry.state_before, entry.state_after)
    if entry.operation == "approve_remediation":
        return "; ".join(
            f"{one.name.removesuffix(_APPROVED)}: version {one.after}"
            for one in changes
            if one.name.endswith(_APPROVED)
        )
    return "; ".join(
        str(
            replace(
                one,
                before=_format_changed_value(one.before),
                after=_format_changed_value(one.after),
            )
        )
        for one in changes
    )


def _format_changed_value(value: str) -> str:
    return value.replace("_", " ") if value in _STATES else value


def _list_targets(entry: AuditEntry, flow_ids: list[str], names: AuditNames) -> list[Place]:
    target = find_audit_target(entry.target, entry.state_after)
    places, url = list[Place](), ""
    if target.kind is TargetKind.REMEDIATION:
        remediation = names.remediations.get(target.id.lower())
        url = f"/api/dashboard/remediations/{remediation.id}" if remediation else ""
        title = _format_remediation_title(target.id, remediation, names)
        places.append(Place(title=title, url=url, id=target.id))
    elif target.kind is TargetKind.ENVIRONMENT:
        title = names.environments.get(target.id, target.id)
        places.append(Place(title=title, url="/api/dashboard/environments", id=target.id))
    elif entry.operation not in map_operations_to_phrases() and not is_page_view(entry.operation):
        places.append(Place(title=target.id))
    body = parse_state(entry.request_body)
    if subject := str(body.get("issue") or body.get("resource") or ""):
        places.append(Place(title=replace_ids_by_names(subject), id=subject))
    for flow_id in flow_ids[:FLOWS_NAMED]:
        name = names.flows.get(flow_id.lower())
        there = f"{url}/flows/{flow_id.lower()}" if url and name else ""
        places.append(Place(title=name or flow_id, url=there, id=flow_id))
    return places


def _format_remediation_title(identity: str, one: Remediation | None, names: AuditNames) -> str:
    ids = one.environment_ids if one else ()
    named = [names.environments.get(each, each) for each in ids[:_NAMED]]
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{', '.join(named)}{more} #{identity[:8]}".strip()


def _describe_difference(one: EntryDifference) -> str:
    at = f" of {one.recorded_at:%Y-%m-%d %H:%M:%S} UTC" if one.recorded_at else ""
    identity = one.key.partition("-")[2][:36]
    return f"The entry{at} with id {identity} was {one.change} after seal {one.seal_number}."


def _shorten_text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
