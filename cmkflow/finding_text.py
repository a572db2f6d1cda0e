"""Format a finding of an assessment, a key check or `cmkflow doctor` for the terminal."""

from typing import Any

from rich.text import Text

STYLES = {
    "ok": "green",
    "warning": "yellow",
    "unknown": "bold magenta",
    "problem": "bold red",
}


def format_finding(subject: str, finding: Any) -> Text:
    """Return the level, subject, message and fix of a finding."""
    level = finding["level"]
    text = Text(f"{level:8}", style=STYLES[level])
    text.append(f"{subject.replace('_', ' ')}: {finding['message']}", style="not bold default")
    if finding["fix"]:
        text.append(f" {finding['fix']}", style="dim not bold default")
    return text
