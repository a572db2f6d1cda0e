"""Print rows: as a table that fits the terminal, or tab-separated in a pipe."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cmkflow.output import one_field
from cmkflow.terminal import printable
from shared.domain.jobs.deletion_states import DELETION_STATES
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.jobs.remediation_states import REMEDIATION_STATES
from shared.domain.jobs.state_machine import NextActor, StateProperties


def _style(facts: StateProperties) -> str:
    if facts.next_actor is NextActor.PERSON:
        return "bold red" if facts.needs_action else "bold yellow"
    if facts.resumes_later:
        return "yellow"
    return "green" if facts.is_success else ""


_STYLES = {
    str(state): _style(facts)
    for table in (FLOW_STATES, ENVIRONMENT_STATES, DELETION_STATES, REMEDIATION_STATES)
    for state, facts in table.items()
}

#: Columns that are never shortened, because their values are copied into other commands.
_WHOLE = {"Remediation", "Id", "Mode", "Approval policy", "State"}
#: The option for the next page.
After = Annotated[
    str | None,
    typer.Option(
        "--after",
        help="Show the page after this value, `next` of the previous answer.",
        show_default=False,
    ),
]
_SPACING = 2
#: Minimum width of a shortened column.
_NARROWEST = 8


@dataclass(frozen=True, slots=True)
class ShortId:
    """An id that is shortened in a terminal and complete in a pipe."""

    whole: str
    short: str


type Cell = str | Text | ShortId


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows with titles; empty columns are omitted. Without titles, rows are names and values."""

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    #: A note for each row, on a second line; empty for none.
    notes: Sequence[str] = ()
    #: True to wrap cells; False to shorten them, one line per row.
    is_folded: bool = False
    #: Value of `--after` for the next page; empty on the last page. For pipes: `--query next`.
    next: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the rows in the format for the console."""
        if not console.is_terminal:
            yield from self._tabbed()
        elif self.is_folded:
            yield self._table()
        else:
            yield from self._lines(options.max_width)
        if self.next and console.is_terminal:
            yield Text(f"More: add --after {self.next}", style="dim")

    def _shown(self) -> list[int]:
        columns = range(len(self.titles) or 2)
        return [i for i in columns if not self.rows or any(row[i] for row in self.rows)]

    def _notes(self) -> Sequence[str]:
        return self.notes or [""] * len(self.rows)

    def _tabbed(self) -> Iterator[Segment]:
        shown = self._shown()
        has_notes = any(self.notes)
        if self.titles:
            yield _tabs([*(self.titles[i] for i in shown), *["Why"] * has_notes])
        for row, note in zip(self.rows, self._notes(), strict=True):
            cells = [row[i] for i in shown]
            texts = [one.whole if isinstance(one, ShortId) else str(one) for one in cells]
            yield _tabs([*texts, *[note] * has_notes])

    def _table(self) -> Table:
        if not self.titles:
            grid = Table.grid(padding=(0, _SPACING))
            grid.add_column(no_wrap=True)
            grid.add_column(overflow="fold")
            for name, value in self.rows:
                is_styled = isinstance(name, Text)
                grid.add_row(_text(name) if is_styled else Text(str(name), "bold"), _text(value))
            return grid
        drawn = Table(header_style="bold")
        for column in self._shown():
            title = self.titles[column]
            drawn.add_column(title, overflow="fold", no_wrap=title in _WHOLE)
        for row in self.rows:
            drawn.add_row(*(_text(row[column]) for column in self._shown()))
        return drawn

    def _lines(self, width: int) -> Iterator[Text]:
        shown = self._shown()
        cells = [[_text(row[i]) for i in shown] for row in self.rows]
        titles = [Text(self.titles[i], style="bold") for i in shown]
        widths = [max(line[i].cell_len for line in (titles, *cells)) for i in range(len(shown))]
        _fit(widths, [self.titles[i] not in _WHOLE for i in shown], width)
        yield _line(titles, widths, width)
        for line, note in zip(cells, self._notes(), strict=True):
            yield _line(line, widths, width)
            if note:
                second = Text(f"  {printable(note)}", style="dim")
                second.truncate(width, overflow="ellipsis")
                yield second


def _fit(widths: list[int], may_shrink: Sequence[bool], width: int) -> None:
    """Shorten the widest columns that may be shortened until the line fits."""
    while sum(widths) + _SPACING * (len(widths) - 1) > width:
        wide = [i for i, one in enumerate(widths) if may_shrink[i] and one > _NARROWEST]
        if not wide:
            return
        widths[max(wide, key=widths.__getitem__)] -= 1


def _line(cells: Sequence[Text], widths: Sequence[int], width: int) -> Text:
    line = Text()
    for cell, wide in zip(cells, widths, strict=True):
        part = cell.copy()
        part.truncate(wide, overflow="ellipsis", pad=True)
        line.append_text(part).append(" " * _SPACING)
    line.rstrip()
    line.truncate(width, overflow="ellipsis")
    return line


def _text(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return Text(printable(cell.plain), style=cell.style)
    text = cell.short if isinstance(cell, ShortId) else cell
    return Text(printable(text), style=_STYLES.get(text, ""))


def _tabs(texts: Iterable[str]) -> Segment:
    """Return a line with tabs; a rich `Text` would replace them with spaces."""
    return Segment(
        "\t".join(one_field(printable(text).replace("\n", ", ")) for text in texts) + "\n"
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Listing:
    """Return a table with wrapped cells."""
    return Listing(titles=titles, rows=list(rows), is_folded=True)


def facts(items: Mapping[str, str]) -> Listing:
    """Return a list of names and values; empty values are omitted."""
    return Listing(titles=(), rows=[one for one in items.items() if one[1]], is_folded=True)
