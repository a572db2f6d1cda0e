"""Build one HTML file from assessments. Its readers need no access to the app."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cmkflow.assessment_answer import (
    LEVELS,
    PHASES,
    build_answer_about_key,
    count_findings_by_level,
)
from cmkflow.assessment_to_do import (
    build_to_do_list,
    can_be_changed_without_copy,
    filter_flows_by_status,
    filter_retired_originals,
    filter_unstarted_flows,
)
from shared.domain.assessment.assessment import RemediationStatus
from shared.domain.display_names import RETIRED_SUFFIX
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
#: What happens to the flows that do not stay on Microsoft's key.
_MOVING = {
    "before_key": "move automatically when the key is applied",
    "platform_migration": "are moved by Microsoft",
    "after_key": "are on your key",
    "unknown": "should move automatically",
}
#: The words for one flow, where those for several differ.
_ONE = {
    "move automatically when the key is applied": "moves automatically when the key is applied",
    "are moved by Microsoft": "is moved by Microsoft",
    "are on your key": "is on your key",
    "are copied after the key": "is copied after the key",
    "are copied": "is copied",
    "are better changed now": "is better changed now",
    "need changes": "needs changes",
    "need their publisher": "needs its publisher",
    "are in progress": "is in progress",
    "need an action": "needs an action",
    "are retired; their copies work": "is retired; its copy works",
}
#: Look and words of a flow that a remediation has started with.
_STATUSES = {
    str(RemediationStatus.IN_PROGRESS): ("work", "in progress"),
    str(RemediationStatus.ACTION_REQUIRED): ("person", "action required"),
    str(RemediationStatus.DELETION_SCHEDULED): ("done", "deletion scheduled"),
}
#: Tables of more flows, and of more retired originals, are folded.
_MOST_UNFOLDED, _MOST_RETIRED = 100, 10
_LOOKS = {"warning": "wait", "ok": "done", "problem": "person", "unknown": "unknown"}


def build_assessment_page(assessments: Sequence[Any]) -> str:
    """Return the HTML page for the API's assessments. Names from the tenant are escaped."""
    return render_template(
        Path(__file__).with_name("assessment.html.j2"),
        {
            "assessments": [_build_page_values(one) for one in assessments],
            "reasons": REASONS,
            "topics": _TOPICS,
            "phases": PHASES,
            "levels": LEVELS,
            "most_unfolded": _MOST_UNFOLDED,
            "most_retired": _MOST_RETIRED,
            "looks": _LOOKS,
            "retired_suffix": RETIRED_SUFFIX,
            "style": read_style(),
        },
    )


def _build_page_values(assessment: Any) -> dict[str, Any]:
    sections = [
        {
            **one,
            "levels": count_findings_by_level([one]),
            "findings": _sort_by_level(one["findings"]),
        }
        for one in assessment["sections"]
    ]
    return {
        **assessment,
        "assessed_at": datetime.fromisoformat(assessment["assessed_at"]),
        "sections": sections,
        "answer": build_answer_about_key(assessment),
        "to_do": build_to_do_list(assessment),
        "parts": _build_bar_parts(assessment),
        **_build_flow_lists(assessment["flows"]),
    }


def _build_flow_lists(flows: Sequence[Any]) -> dict[str, Any]:
    rest = filter_flows_by_status(flows, *(one for one in RemediationStatus if not one.is_retired))
    return {
        "groups": _group_flows_by_reason_and_status(rest),
        "retired_groups": _group_flows_by_reason_and_status(filter_retired_originals(flows)),
    }


def format_microsoft_key_reasons(codes: Iterable[str]) -> str:
    """Return the titles of Microsoft-key reasons as one text."""
    text = ", ".join(REASONS.get(one, one) for one in codes)
    return text[:1].upper() + text[1:]


def _group_flows_by_reason_and_status(flows: Iterable[Any]) -> list[dict[str, Any]]:
    found: dict[tuple[Any, ...], list[Any]] = {}
    for flow in flows:
        reasons, advice = tuple(flow["microsoft_key_reasons"]), tuple(flow["recommendations"])
        status = flow.get("remediation_status", RemediationStatus.UNKNOWN)
        if RemediationStatus(status).is_retired:
            reasons = ()
        key = (reasons, advice, flow["stays_on_microsoft_key"], status)
        found.setdefault(key, []).append(flow)
    return [
        {
            "title": format_microsoft_key_reasons(reasons)
            or ("Retired" if RemediationStatus(status).is_retired else "No reason found"),
            "status": _STATUSES.get(status, ("", "")),
            "is_retired": RemediationStatus(status).is_retired,
            "is_doubtful": stays is None,
            "recommendations": advice,
            "message": ""
            if RemediationStatus(status).is_retired
            else _find_common_text(alike, "message"),
            "run_only_users": _find_common_text(alike, "run_only_users"),
            "flows": alike,
            "count": len(alike),
        }
        for (reasons, advice, stays, status), alike in found.items()
    ]


def _find_common_text(flows: Sequence[Any], member: str) -> str:
    texts = {flow[member] for flow in flows}
    return texts.pop() if len(flows) > 1 and len(texts) == 1 else ""


def _build_bar_parts(assessment: Any) -> list[tuple[str, int, str, str, str]]:
    """Return each part's CSS class, number, words, link and icon."""
    every, total = assessment["flows"], assessment["flow_count"]
    if total is None:
        return []
    flows = filter_unstarted_flows(every)
    doubtful = [flow for flow in flows if flow["stays_on_microsoft_key"] is None]
    sure = [flow for flow in flows if flow["stays_on_microsoft_key"] is not None]
    managed = [flow for flow in sure if flow["is_managed"]]
    now = [flow for flow in sure if can_be_changed_without_copy(assessment, flow)]
    copied = len(sure) - len(managed) - len(now)
    is_before = assessment["phase"] == "before_key"
    parts = (
        ("done", total - len(every), _MOVING[assessment["phase"]], "ok"),
        ("work", copied, "are copied after the key" if is_before else "are copied", "clock"),
        ("wait", len(now), "are better changed now" if is_before else "need changes", "alert"),
        ("person", len(managed), "need their publisher", "stop"),
        ("wait", len(doubtful), "may stay on Microsoft's key", "unknown"),
        (
            "work",
            len(filter_flows_by_status(every, RemediationStatus.IN_PROGRESS)),
            "are in progress",
            "clock",
        ),
        (
            "person",
            len(filter_flows_by_status(every, RemediationStatus.ACTION_REQUIRED)),
            "need an action",
            "stop",
        ),
        ("over", len(filter_retired_originals(every)), "are retired; their copies work", "idle"),
    )
    return [
        (look, number, _ONE.get(words, words) if number == 1 else words, "", icon)
        for look, number, words, icon in parts
        if number
    ]


def _sort_by_level(findings: Iterable[Any]) -> list[Any]:
    order = list(LEVELS)
    return sorted(findings, key=lambda one: order.index(one["level"]))
