"""What closes a gap, as text in the language that somebody keeps their firewalls in."""

from enum import StrEnum
from typing import Any


class FixLanguage(StrEnum):
    """The languages of repairs."""

    AZURE_CLI = "az"
    BICEP = "bicep"
    TERRAFORM = "terraform"


_MEMBERS = {
    FixLanguage.AZURE_CLI: ("azure_cli", "#"),
    FixLanguage.BICEP: ("bicep", "//"),
    FixLanguage.TERRAFORM: ("terraform", "#"),
}


def repair_text(repair: Any, language: FixLanguage) -> str:
    """Return a repair as the API shows it, its gap and what to look at before as comments."""
    member, comment = _MEMBERS[language]
    said = [repair["gap"], repair["refusal"] or repair["summary"], *repair["notes"]]
    lines = [f"{comment} {line}" for line in said if line]
    return "\n".join([*lines, repair[member].rstrip()]).rstrip()
