"""A finding of a check as a line of text."""

from typing import Any

from rich.text import Text

STYLES = {
    "ok": "green",
    "warning": "yellow",
    "unknown": "bold magenta",
    "problem": "bold red",
}


def finding_text(subject: str, finding: Any) -> Text:
    """Return how the check ended, what it is about, what was found and what to do."""
    level = finding["level"]
    text = Text(f"{level:8}", style=STYLES[level])
    text.append(f"{subject.replace('_', ' ')}: {finding['text']}", style="not bold default")
    if finding["instruction"]:
        text.append(f" {finding['instruction']}", style="dim not bold default")
    return text
