"""Build a self-contained HTML page of assessments, to send to others."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cmkflow.run_archive_tables import number_of
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.html_pages import rendered, style

#: Texts of the reason codes of the API.
REASONS = {str(reason): reason.category.title for reason in MicrosoftKeyReason}
_TOPICS = {
    "eligibility": "Can the key be applied?",
    "key": "Is the key ready?",
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


#: Sections that decide whether a key can be applied; the others describe its consequences.
_DECIDING = ("eligibility", "key")
_LEVELS = ("problem", "unknown", "warning", "ok")


def page_of(assessments: Sequence[Any]) -> str:
    """Return the page for the API's assessments; names from the tenant are escaped."""
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
    """Return the level and the text of the answer to "Can the key be applied?"."""
    rest = _rest(assessment)
    look = "warning" if rest else "ok"
    if assessment["phase"] != "before_key":
        answer = _PHASES[assessment["phase"]].capitalize()
        return look, f"{answer}, but {rest}" if rest else answer
    deciding = [one for one in assessment["sections"] if one["topic"] in _DECIDING]
    levels = _levels(deciding)
    if levels["problem"]:
        number = number_of(levels["problem"], "problem")
        return "problem", f"No. Fix {number} of the environment or the key first"
    if levels["unknown"] or not deciding:
        return "unknown", "Unknown: the platform did not answer some requests"
    return look, f"Yes, but {rest}" if rest else "Yes"


def _rest(assessment: Any) -> str:
    """Return what remains to be done after the key is applied, as clauses, or an empty text."""
    flows, levels = assessment["flows"], _levels(assessment["sections"])
    doubtful = sum(flow["stays_on_microsoft_key"] is None for flow in flows)
    clauses = {
        "{} on Microsoft's key": _counted(len(flows) - doubtful, "flow stays", "flows stay"),
        "{} on it": _counted(doubtful, "flow may stay", "flows may stay"),
        "{}": _counted(levels["problem"], "problem must be fixed", "problems must be fixed"),
        "{} unknown": _counted(levels["unknown"], "fact is", "facts are"),
    }
    said = [clause.format(words) for clause, words in clauses.items() if words]
    if assessment["flow_count"] is None:
        said.append("its flows could not be read")
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))


def _counted(number: int, one: str, many: str) -> str:
    """Return the number with its noun phrase, or an empty text for zero."""
    return f"{number} {one if number == 1 else many}" if number else ""


def _levels(sections: Iterable[Any]) -> dict[str, int]:
    count = Counter(finding["level"] for one in sections for finding in one["findings"])
    return {level: count[level] for level in _LEVELS}
