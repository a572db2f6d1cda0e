"""`cmkflow doctor`: check whether a deployment can do its work."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ExitCode
from cmkflow.api_command import Shown, api_command
from cmkflow.paragraphs import STYLES, Headline, Paragraph, format_number
from shared.domain.finding import FindingLevel

#: The Functions host ends a request after 230 seconds.
_SECONDS = 240
#: Most urgent level first.
_TITLES = {
    FindingLevel.PROBLEM: "Failed",
    FindingLevel.UNKNOWN: "No answer",
    FindingLevel.WARNING: "Warnings",
    FindingLevel.OK: "Passed",
}


def add_doctor_command(group: typer.Typer) -> None:

    @api_command(group, "doctor", show=format_deployment_check, ends=_choose_exit_code)
    def check_deployment(
        api: ApiClient,
        full: Annotated[bool, typer.Option("--full", help="Show each check that passed.")] = False,
    ) -> object:
        """Check the deployment: connections, permissions and settings.

        Changes nothing, except that it may renew the sign-in of the service account. Exits with 4
        if an action is required, and with 5 if a service does not answer.

        Examples:
            cmkflow doctor
            cmkflow doctor --full
        """
        answer = api.send(ApiCall(method="GET", path=("doctor",), seconds=_SECONDS))
        return Shown(answer=answer, show=lambda found: format_deployment_check(found, is_full=full))


def format_deployment_check(answer: Any, *, is_full: bool = False) -> RenderableType:
    """Return the findings by level, the most urgent level first. Without `is_full`, checks that
    passed are only counted.
    """
    by_level: dict[str, list[Any]] = {level: [] for level in _TITLES}
    for one in answer["items"]:
        by_level[one["level"]].append(one)
    parts: list[RenderableType] = [_format_headline(by_level)]
    for level, findings in by_level.items():
        if not findings:
            continue
        title = f"{_TITLES[FindingLevel(level)]} ({len(findings)})"
        parts += [Text(), Text(title, style=STYLES[level])]
        if level == FindingLevel.OK and not is_full:
            parts.append(Paragraph(text=_format_counts_by_level(findings)))
        else:
            parts += _format_findings(findings)
    return Group(*parts)


def _format_headline(by_level: dict[str, list[Any]]) -> Headline:
    total = sum(map(len, by_level.values()))
    if failed := len(by_level[FindingLevel.PROBLEM]):
        return Headline(left=f"{failed} of {format_number(total, 'check')} failed")
    passed = len(by_level[FindingLevel.OK])
    return Headline(left=f"{passed} of {format_number(total, 'check')} passed")


def _format_findings(findings: Sequence[Any]) -> Iterable[Paragraph]:
    for one in findings:
        yield Paragraph(text=f"{_format_subject(one)}: {one['message']}")
        if one["fix"]:
            yield Paragraph(label="Fix", text=one["fix"], indent=4)


def _format_counts_by_level(findings: Sequence[Any]) -> str:
    counts = Counter(one["code"].replace("_", " ") for one in findings)
    return ", ".join(f"{code} {number}" for code, number in counts.items())


def _format_subject(finding: Any) -> str:
    return f"{finding['code']} {finding['subject']}".rstrip().replace("_", " ")


def _choose_exit_code(answer: Any) -> int:
    levels = {one["level"] for one in answer["items"]}
    if FindingLevel.PROBLEM in levels:
        return ExitCode.ACTION_REQUIRED
    return ExitCode.SERVICE_UNAVAILABLE if FindingLevel.UNKNOWN in levels else 0
