"""Build a self-contained HTML page of assessments, to send to others."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cmkflow.assessment_to_do import DECIDING, can_be_changed_now, is_firewall, to_do_list
from cmkflow.run_archive_tables import format_number
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.html_pages import read_style, render_template

#: Texts of the reason codes of the API.
REASONS = {str(reason): reason.category.title for reason in MicrosoftKeyReason}
_TOPICS = {
    "eligibility": "Environment",
    "key": "Key and policy",
    "flows": "Flows",
    "network": "Firewalls",
    "canvas_apps": "Canvas apps",
    "solutions": "Flows in solutions",
    "connections": "Connections",
    "copilot": "Copilot skills",
    "hosted_machines": "Hosted machine groups",
    "analytics": "Analytics and notifications",
    "run_history": "Run history",
    "portal_warning": "After the remediation",
}
_PHASES = {
    "before_key": "no key is applied yet",
    "platform_migration": "Microsoft is moving flows to the key",
    "after_key": "the key is applied",
    "unknown": "the key is applied; it is unknown whether flows have moved",
}
#: What happens to the flows that do not stay on Microsoft's key.
_MOVING = {
    "before_key": "move automatically when the key is applied",
    "platform_migration": "are moved by Microsoft",
    "after_key": "are on your key",
    "unknown": "should move automatically",
}
#: Tables of more flows are folded, so that the file opens fast.
_MOST_UNFOLDED = 100
_LOOKS = {"warning": "wait", "ok": "done", "problem": "person", "unknown": "unknown"}
#: In the order in which a page shows them, with the words for one and for several.
_LEVELS = {
    "problem": ("problem", "problems"),
    "unknown": ("unknown", "unknown"),
    "warning": ("to know", "to know"),
    "ok": ("check passed", "checks passed"),
}


def page_of(assessments: Sequence[Any]) -> str:
    """Return the page for the API's assessments; names from the tenant are escaped."""
    return render_template(
        Path(__file__).with_name("assessment.html.j2"),
        {
            "assessments": [_build_page_values(one) for one in assessments],
            "reasons": REASONS,
            "topics": _TOPICS,
            "phases": _PHASES,
            "levels": _LEVELS,
            "most_unfolded": _MOST_UNFOLDED,
            "looks": _LOOKS,
            "style": read_style(),
        },
    )


def _build_page_values(assessment: Any) -> dict[str, Any]:
    sections = [
        {**one, "levels": _count_levels([one]), "findings": _sort_by_level(one["findings"])}
        for one in assessment["sections"]
    ]
    return {
        **assessment,
        "assessed_at": datetime.fromisoformat(assessment["assessed_at"]),
        "sections": sections,
        "answer": _answer(assessment),
        "to_do": to_do_list(assessment),
        "parts": _build_parts(assessment),
        "groups": _group_flows(assessment["flows"]),
    }


def _group_flows(flows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return flows that stay for the same reasons and have the same recommendations together."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for flow in flows:
        reasons, advice = tuple(flow["microsoft_key_reasons"]), tuple(flow["recommendations"])
        found.setdefault((reasons, advice, flow["stays_on_microsoft_key"]), []).append(flow)
    return [
        {
            "title": ", ".join(REASONS.get(one, one) for one in reasons) or "No reason found",
            "is_doubtful": stays is None,
            "recommendations": advice,
            "message": _find_one_message(alike),
            "flows": alike,
        }
        for (reasons, advice, stays), alike in found.items()
    ]


def _find_one_message(flows: Sequence[Any]) -> str:
    """Return the message of several flows if all have it, or an empty text."""
    messages = {flow["message"] for flow in flows}
    return messages.pop() if len(flows) > 1 and len(messages) == 1 else ""


def _build_parts(assessment: Any) -> list[tuple[str, int, str, str, str]]:
    """Return the parts of all flows, which add up: look, number, words, link and icon."""
    flows, total = assessment["flows"], assessment["flow_count"]
    if total is None:
        return []
    doubtful = [flow for flow in flows if flow["stays_on_microsoft_key"] is None]
    sure = [flow for flow in flows if flow["stays_on_microsoft_key"] is not None]
    managed = [flow for flow in sure if flow["is_managed"]]
    now = [flow for flow in sure if can_be_changed_now(assessment, flow)]
    copied = len(sure) - len(managed) - len(now)
    is_before = assessment["phase"] == "before_key"
    parts = (
        ("done", total - len(flows), _MOVING[assessment["phase"]], "ok"),
        ("work", copied, "are copied after the key" if is_before else "are copied", "clock"),
        ("wait", len(now), "are better changed now", "alert"),
        ("person", len(managed), "need their publisher", "stop"),
        ("wait", len(doubtful), "may stay on Microsoft's key", "unknown"),
    )
    return [(look, number, words, "", icon) for look, number, words, icon in parts if number]


def _answer(assessment: Any) -> tuple[str, str, str]:
    """Return the answer to "Can the key be applied?": its look, its text, and what is not sure."""
    sure, unsure = _format_certain_work(assessment), _format_uncertainty(assessment)
    rest, doubts = (sure, unsure) if sure else (unsure, "")
    look = "wait" if rest else "done"
    if assessment["phase"] != "before_key":
        answer = _PHASES[assessment["phase"]].capitalize()
        return look, f"{answer}, but {rest}" if rest else answer, doubts
    deciding = [one for one in assessment["sections"] if one["topic"] in DECIDING]
    levels = _count_levels(deciding)
    if levels["problem"]:
        number = format_number(levels["problem"], "problem")
        return "person", f"No. Fix {number} of the environment or the key first", ""
    if levels["unknown"] or not deciding:
        return "unknown", "Unknown: the platform did not answer some requests", ""
    return look, f"Yes, but {rest}" if rest else "Yes", doubts


def _format_certain_work(assessment: Any) -> str:
    """Return what certainly remains to be done after the key is applied; empty: nothing."""
    stay = sum(flow["stays_on_microsoft_key"] is True for flow in assessment["flows"])
    denying = _count_firewalls(assessment)["problem"]
    others = _count_levels(assessment["sections"])["problem"] - denying
    more = "more " if denying else ""
    clauses = [
        _format_count(stay, "flow stays", "flows stay", " on Microsoft's key"),
        _format_count(denying, "firewall denies", "firewalls deny", " the new addresses"),
        _format_count(others, f"{more}problem", f"{more}problems", " must be fixed"),
    ]
    return _join_clauses(clauses)


def _format_uncertainty(assessment: Any) -> str:
    """Return what the app does not know, as clauses; empty: nothing."""
    doubtful = sum(flow["stays_on_microsoft_key"] is None for flow in assessment["flows"])
    perhaps = _count_firewalls(assessment)["unknown"]
    unknown = _count_levels(assessment["sections"])["unknown"] - perhaps
    clauses = [
        _format_count(doubtful, "flow", "flows", " may stay on Microsoft's key"),
        _format_count(perhaps, "firewall", "firewalls", " may deny the new addresses"),
        _format_count(unknown, "fact is", "facts are", " unknown"),
        "its flows could not be read" if assessment["flow_count"] is None else "",
    ]
    return _join_clauses(clauses)


def _count_firewalls(assessment: Any) -> Counter[str]:
    """Return the number of firewalls by level."""
    findings = [one for section in assessment["sections"] for one in section["findings"]]
    return Counter(one["level"] for one in findings if is_firewall(one))


def _join_clauses(clauses: Iterable[str]) -> str:
    said = [clause for clause in clauses if clause]
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))


def _format_count(number: int, one: str, many: str, rest: str) -> str:
    """Return the number with its noun phrase and the rest, or an empty text for zero."""
    return f"{number} {one if number == 1 else many}{rest}" if number else ""


def _count_levels(sections: Iterable[Any]) -> dict[str, int]:
    count = Counter(finding["level"] for one in sections for finding in one["findings"])
    return {level: count[level] for level in _LEVELS}


def _sort_by_level(findings: Iterable[Any]) -> list[Any]:
    order = list(_LEVELS)
    return sorted(findings, key=lambda one: order.index(one["level"]))
