"""What a check found. What the platform does not show is `unknown`, never `ok`."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingLevel(StrEnum):
    """How a check ended; `unknown` is no answer, and weighs more than a warning."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    level: FindingLevel
    #: Names the check; the same in every assessment.
    code: str
    text: str
    #: What to do next; empty when nothing is to be done.
    instruction: str = ""
    #: Environment, vault or key version that it is about; empty: the policy.
    subject: str = ""


def highest_level(findings: Iterable[Finding]) -> FindingLevel:
    """Return the level that weighs most: problem, unknown, warning, ok."""
    order = list(FindingLevel)
    return max(
        (finding.level for finding in findings), key=order.index, default=FindingLevel.UNKNOWN
    )


def ok(code: str, text: str, subject: str = "") -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(level=FindingLevel.OK, code=code, text=text, subject=subject)


def warning(code: str, text: str, instruction: str, subject: str = "") -> Finding:
    """Return a finding that something will or may go wrong."""
    return Finding(
        level=FindingLevel.WARNING, code=code, text=text, instruction=instruction, subject=subject
    )


def problem(code: str, text: str, instruction: str, subject: str = "") -> Finding:
    """Return a finding that something is wrong."""
    return Finding(
        level=FindingLevel.PROBLEM, code=code, text=text, instruction=instruction, subject=subject
    )


def unknown(
    code: str, text: str, instruction: str = "Look at it in the portal.", subject: str = ""
) -> Finding:
    """Return a finding that nobody could look."""
    return Finding(
        level=FindingLevel.UNKNOWN, code=code, text=text, instruction=instruction, subject=subject
    )
