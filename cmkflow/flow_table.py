"""The table that `cmkflow inspect` prints for people."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from cmkflow.flow_report import Inspection

_STAYS = {True: ("yes", "bold red"), None: ("unknown", "yellow"), False: ("no", "green")}


def flow_table(inspections: Sequence[Inspection]) -> Table:
    """Return one row a flow, those that stay on the MMK first."""
    table = Table(header_style="bold", show_lines=False)
    for title in ("Flow", "Trigger", "Stays on MMK", "Why", "Runs", "Sends HTTP to", "Holds URLs"):
        table.add_column(title, overflow="fold")
    rank = {True: 0, None: 1, False: 2}
    for one in sorted(inspections, key=lambda one: rank[one.assessment.stays_on_mmk]):
        answer, style = _STAYS[one.assessment.stays_on_mmk]
        definition = one.definition
        # Names come from files: as Text, nothing in them is taken for markup.
        table.add_row(
            Text(one.file.name or one.file.workflow_id or one.file.path),
            Text(", ".join(trigger.category.value for trigger in definition.triggers)),
            Text(answer, style=style),
            Text(one.assessment.text if one.assessment.stays_on_mmk is not False else ""),
            Text(_count(len(definition.children), "flow")),
            Text("\n".join(_hosts(one))),
            Text("\n".join(f"{url.host} {url.workflow_id}" for url in one.trigger_urls)),
        )
    return table


def summary(inspections: Sequence[Inspection], *, problems: int) -> Text:
    """Return the totals as one sentence."""
    count = Counter(one.assessment.stays_on_mmk for one in inspections)
    text = (
        f"{_count(len(inspections), 'flow') or 'No flows'}: {count[True]} stay on the "
        f"Microsoft-managed key, {count[None]} unknown, {count[False]} do not."
    )
    if problems:
        text += f" {_count(problems, 'file')} could not be read."
    return Text(text)


def _hosts(one: Inspection) -> list[str]:
    return sorted({action.host or "(expression)" for action in one.definition.http_actions})


def _count(number: int, noun: str) -> str:
    if not number:
        return ""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
