"""Format the table of `cmkflow inspect`."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from cmkflow.flow_report import Inspection
from cmkflow.listing import Listing, table
from shared.domain.definitions.flow_definition import DefinitionFormat

_TITLES = (
    "Flow",
    "Trigger",
    "On Microsoft's key",
    "Reason",
    "Child flows",
    "HTTP hosts",
    "Trigger URLs of",
)
_STAYS = {True: ("yes", "bold red"), None: ("unknown", "yellow"), False: ("no", "green")}


def flow_table(inspections: Sequence[Inspection]) -> Listing:
    """Return one row per flow, flows that stay on Microsoft's key first; empty columns are
    omitted.
    """
    rank = {True: 0, None: 1, False: 2}
    rows = [
        _row(one)
        for one in sorted(inspections, key=lambda i: rank[i.assessment.stays_on_microsoft_key])
    ]
    return table(_TITLES, rows)


def _row(one: Inspection) -> list[Text]:
    """Return the cells of a flow; `Text` prevents markup in names from being interpreted."""
    stays = one.assessment.stays_on_microsoft_key
    answer, style = _STAYS[stays]
    is_logic_app = one.definition.format is DefinitionFormat.LOGIC_APP
    return [
        Text(one.file.name or one.file.workflow_id or one.file.path),
        Text(", ".join(trigger.category.value for trigger in one.definition.triggers)),
        Text(answer, style=style),
        Text(one.assessment.message if stays is not False or is_logic_app else ""),
        Text(_count(len(one.definition.children), "flow")),
        Text("\n".join(_hosts(one))),
        Text("\n".join(f"{url.host} {url.workflow_id}" for url in one.trigger_urls)),
    ]


def summary(inspections: Sequence[Inspection], *, problems: int, skipped: int = 0) -> Text:
    count = Counter(one.assessment.stays_on_microsoft_key for one in inspections)
    text = (
        f"{_count(len(inspections), 'flow')}: {count[True]} stay on Microsoft's key, "
        f"{count[None]} unknown, {count[False]} do not."
        if inspections
        else "No flows found."
    )
    if skipped:
        text += f" {_count(skipped, 'file')} of other types skipped."
    if problems:
        text += f" {_count(problems, 'file')} could not be read."
    return Text(text)


def _hosts(one: Inspection) -> list[str]:
    return sorted({action.host or "(expression)" for action in one.definition.http_actions})


def _count(number: int, noun: str) -> str:
    if not number:
        return ""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
