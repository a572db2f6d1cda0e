"""Answer the question "Can the key be applied?" from the API's assessment of an environment."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from cmkflow.assessment_to_do import (
    DECIDING,
    IN_REMEDIATION,
    filter_flows_by_status,
    filter_retired_originals,
    filter_unstarted_flows,
    is_about_one_firewall,
)
from cmkflow.paragraphs import format_number
from shared.domain.assessment.assessment import RemediationStatus

#: The phases of an assessment as words.
PHASES = {
    "before_key": "no key is applied yet",
    "platform_migration": "Microsoft is moving flows to the key",
    "after_key": "the key is applied",
    "unknown": "the key is applied; it is unknown whether flows have moved",
}
#: In the order in which a page shows them, with the words for one and for several.
LEVELS = {
    "problem": ("problem", "problems"),
    "unknown": ("unknown", "unknown"),
    "warning": ("to know", "to know"),
    "ok": ("check passed", "checks passed"),
}


def format_answer_about_key(assessment: Any) -> str:
    """Return the answer of `build_answer_about_key` as one text."""
    _, text, doubts = build_answer_about_key(assessment)
    return f"{text}. Not sure: {doubts}." if doubts else f"{text}."


def build_answer_about_key(assessment: Any) -> tuple[str, str, str]:
    """Return the CSS class and text of the answer to "Can the key be applied?", and the doubts to
    show beside it.
    """
    sure, unsure = _format_certain_work(assessment), _format_uncertainty(assessment)
    rest, doubts = (sure, unsure) if sure else (unsure, "")
    look = "wait" if rest else "done"
    if assessment["phase"] != "before_key":
        answer, retired = (
            PHASES[assessment["phase"]].capitalize(),
            _format_retired_originals(assessment),
        )
        if retired and _has_only_retired_originals(assessment):
            text = f"no flow needs a remediation; {retired}"
            return look, f"{answer}, but {sure}; {text}" if sure else f"Yes: {text}", unsure
        answer = f"{answer}, but {rest}" if rest else answer
        return look, f"{answer}; {retired}" if retired else answer, doubts
    deciding = [one for one in assessment["sections"] if one["topic"] in DECIDING]
    levels = count_findings_by_level(deciding)
    if levels["problem"]:
        number = format_number(levels["problem"], "problem")
        return "person", f"No. Fix {number} of the environment or the key first", ""
    if levels["unknown"] or not deciding:
        return "unknown", "Unknown: the platform did not answer some requests", ""
    return look, f"Yes, but {rest}" if rest else "Yes", doubts


def _format_certain_work(assessment: Any) -> str:
    flows = assessment["flows"]
    stay = sum(flow["stays_on_microsoft_key"] is True for flow in filter_unstarted_flows(flows))
    needing, migrating = (
        len(filter_flows_by_status(flows, status))
        for status in (RemediationStatus.ACTION_REQUIRED, RemediationStatus.IN_PROGRESS)
    )
    denying = _count_firewalls_by_level(assessment)["problem"]
    findings = [one for section in assessment["sections"] for one in section["findings"]]
    problems = [one for one in findings if one["level"] == "problem"]
    others = sum(one.get("code") != IN_REMEDIATION for one in problems) - denying
    more = "more " if denying or needing else ""
    clauses = [
        _format_clause(stay, "flow stays", "flows stay", " on Microsoft's key"),
        _format_clause(needing, "flow needs", "flows need", " an action in a remediation"),
        _format_clause(migrating, "flow is", "flows are", " in progress in a remediation"),
        _format_clause(denying, "firewall denies", "firewalls deny", " the new addresses"),
        _format_clause(others, f"{more}problem", f"{more}problems", " must be fixed"),
    ]
    return _join_clauses(clauses)


def _format_retired_originals(assessment: Any) -> str:
    number = len(filter_retired_originals(assessment["flows"]))
    one, many = "retired original remains", "retired originals remain"
    return _format_clause(number, one, many, " on Microsoft's key")


def _has_only_retired_originals(assessment: Any) -> bool:
    is_over = assessment["phase"] == "after_key" and assessment["flow_count"] is not None
    return is_over and len(filter_retired_originals(assessment["flows"])) == len(
        assessment["flows"]
    )


def _format_uncertainty(assessment: Any) -> str:
    flows = filter_unstarted_flows(assessment["flows"])
    doubtful = sum(flow["stays_on_microsoft_key"] is None for flow in flows)
    perhaps = _count_firewalls_by_level(assessment)["unknown"]
    unknown = count_findings_by_level(assessment["sections"])["unknown"] - perhaps
    clauses = [
        _format_clause(doubtful, "flow", "flows", " may stay on Microsoft's key"),
        _format_clause(perhaps, "firewall", "firewalls", " may deny the new addresses"),
        _format_clause(unknown, "fact is", "facts are", " unknown"),
        "its flows could not be read" if assessment["flow_count"] is None else "",
    ]
    return _join_clauses(clauses)


def _count_firewalls_by_level(assessment: Any) -> Counter[str]:
    findings = [one for section in assessment["sections"] for one in section["findings"]]
    return Counter(one["level"] for one in findings if is_about_one_firewall(one))


def _join_clauses(clauses: Iterable[str]) -> str:
    said = [clause for clause in clauses if clause]
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))


def _format_clause(number: int, one: str, many: str, rest: str) -> str:
    return f"{number:,} {one if number == 1 else many}{rest}" if number else ""


def count_findings_by_level(sections: Iterable[Any]) -> dict[str, int]:
    """Return the number of findings by level."""
    count = Counter(finding["level"] for one in sections for finding in one["findings"])
    return {level: count[level] for level in LEVELS}
