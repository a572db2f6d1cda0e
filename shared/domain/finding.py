"""Define the finding of a check. If the platform gave no answer, it is `unknown`, never `ok`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingLevel(StrEnum):
    """The result of a check. `unknown` means no answer and ranks above a warning."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    level: FindingLevel
    #: The check's code, the same in every assessment.
    code: str
    message: str
    #: What to do next; empty: nothing.
    fix: str = ""
    #: The environment, vault or key version that it is about; empty: the policy.
    subject: str = ""


def find_highest_level(findings: Iterable[Finding]) -> FindingLevel:
    """Return the highest level among findings, or `unknown` if there are none.

    The order is problem, unknown, warning, ok.
    """
    order = list(FindingLevel)
    return max(
        (finding.level for finding in findings), key=order.index, default=FindingLevel.UNKNOWN
    )


def passed(code: str, text: str, subject: str = "") -> Finding:
    """Return a finding of level `ok`: the check passed."""
    return Finding(level=FindingLevel.OK, code=code, message=text, subject=subject)


def warning(code: str, text: str, fix: str, subject: str = "") -> Finding:
    """Return a finding of level `warning`: something will or may stop working."""
    return Finding(level=FindingLevel.WARNING, code=code, message=text, fix=fix, subject=subject)


def problem(code: str, text: str, fix: str, subject: str = "") -> Finding:
    """Return a finding of level `problem`: something does not work."""
    return Finding(level=FindingLevel.PROBLEM, code=code, message=text, fix=fix, subject=subject)


def unknown(
    code: str, text: str, fix: str = "Check it in the portal.", subject: str = ""
) -> Finding:
    """Return a finding of level `unknown`: the check got no answer."""
    return Finding(level=FindingLevel.UNKNOWN, code=code, message=text, fix=fix, subject=subject)
