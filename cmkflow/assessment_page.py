"""Assessments as one self-contained page, to be sent to those who have to act."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shared.domain.plans.mmk_reason import MmkReason
from shared.pages import rendered, style

#: By what the API calls a reason.
REASONS = {str(reason): reason.category.title for reason in MmkReason}
_TOPICS = {
    "eligibility": "Can the key be applied?",
    "key": "Is the key fit?",
    "flows": "Flows as a whole",
    "network": "Firewalls",
    "canvas_apps": "Canvas apps",
    "solutions": "Flows in solutions",
    "connections": "Connections",
    "copilot": "Copilot skills",
    "hosted_machines": "Hosted machine groups",
    "analytics": "Analytics and notifications",
    "run_history": "Run history",
    "finish_line": "The finish line",
}
_PHASES = {
    "before": "no key is applied yet",
    "migrating": "flows are being moved under the key",
    "after": "the key is applied",
    "unknown": "the key is applied; whether flows have moved is unknown",
}


#: What these sections find decides whether a key can be applied; all else follows from the key.
_DECIDING = ("eligibility", "key")
_LEVELS = ("problem", "unknown", "warning", "ok")


def page_of(assessments: Sequence[Any]) -> str:
    """Return the page of the API's assessments; names from the tenant are escaped."""
    return rendered(
        Path(__file__).with_name("assessment.html.j2"),
        {
            "assessments": [
                {**one, "levels": _levels(one["sections"]), "answer": _answer(one)}
                for one in assessments
            ],
            "reasons": REASONS,
            "topics": _TOPICS,
            "phases": _PHASES,
            "style": style(),
        },
    )


def _answer(assessment: Any) -> tuple[str, str]:
    """Return how it looks whether the key can be applied, and the answer in words."""
    if assessment["phase"] != "before":
        return "ok", _PHASES[assessment["phase"]].capitalize()
    deciding = [one for one in assessment["sections"] if one["topic"] in _DECIDING]
    levels = _levels(deciding)
    if levels["problem"]:
        return "problem", "No, not before the problems below are settled"
    if levels["unknown"] or not deciding:
        return "unknown", "It cannot be told: the platform gave no answer to some of it"
    return "ok", "Yes"


def _levels(sections: Iterable[Any]) -> dict[str, int]:
    count = Counter(finding["level"] for one in sections for finding in one["findings"])
    return {level: count[level] for level in _LEVELS}
