"""`cmkflow doctor`: check whether a deployment can do its work."""

from collections import Counter
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient, ExitCode
from cmkflow.api_command import api_command
from cmkflow.finding_text import STYLES
from cmkflow.listing import Listing
from shared.domain.finding import FindingLevel

#: The Functions host ends a request after 230 seconds.
_SECONDS = 240
#: Most urgent level first.
_ORDER = [str(one) for one in reversed(FindingLevel)]


def register(group: typer.Typer) -> None:

    @api_command(group, "doctor", show=doctor_text, ends=_end)
    def doctor(api: ApiClient) -> object:
        """Check the deployment: connections, permissions and settings.

        Writes nothing. Exits with 4 if an action is required, and with 5 if a service does not
        answer.
        """
        return api.send(ApiCall(method="GET", path=("doctor",), seconds=_SECONDS))


def doctor_text(answer: Any) -> RenderableType:
    """Return the findings, most urgent first, and their totals."""
    findings = sorted(answer["items"], key=lambda one: _ORDER.index(one["level"]))
    counts = Counter(one["level"] for one in findings)
    total = ", ".join(f"{level}: {counts[level]}" for level in _ORDER if counts[level])
    rows = [(Text(one["level"], style=STYLES[one["level"]]), _found(one)) for one in findings]
    return Group(Listing(titles=(), rows=rows, is_folded=True), Text(f"\n{total}"))


def _found(finding: Any) -> str:
    what = f"{finding['code']} {finding['subject']}".rstrip().replace("_", " ")
    to_do = f"\nFix: {finding['fix']}" if finding["fix"] else ""
    return f"{what}: {finding['message']}{to_do}"


def _end(answer: Any) -> int:
    levels = {one["level"] for one in answer["items"]}
    if FindingLevel.PROBLEM in levels:
        return ExitCode.ACTION_REQUIRED
    return ExitCode.SERVICE_UNAVAILABLE if FindingLevel.UNKNOWN in levels else 0
