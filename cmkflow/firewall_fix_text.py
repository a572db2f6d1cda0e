"""Format a firewall fix in one of the supported languages."""

from enum import StrEnum
from typing import Any


class FixLanguage(StrEnum):
    """A language in which a firewall fix can be printed."""

    AZURE_CLI = "az"
    BICEP = "bicep"
    TERRAFORM = "terraform"


_MEMBERS = {
    FixLanguage.AZURE_CLI: ("azure_cli", "#"),
    FixLanguage.BICEP: ("bicep", "//"),
    FixLanguage.TERRAFORM: ("terraform", "#"),
}


def format_fix(fix: Any, language: FixLanguage) -> str:
    """Return the fix as commands or code, with the issue, the summary and notes as comments."""
    member, comment = _MEMBERS[language]
    said = [fix["issue"], fix["unavailable_reason"] or fix["summary"], *fix["notes"]]
    lines = [f"{comment} {line}" for line in said if line]
    return "\n".join([*lines, fix[member].rstrip()]).rstrip()
