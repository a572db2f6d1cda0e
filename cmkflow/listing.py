"""Print rows: as a table that fits the terminal, or tab-separated in a pipe."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cmkflow.output import remove_tabs_and_breaks
from cmkflow.terminal import remove_unprintable
from shared.domain.jobs.deletion_states import DELETION_STATES
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.domain.jobs.remediation_states import REMEDIATION_STATES
from shared.domain.jobs.state_machine import NextActor, StateProperties
from shared.domain.name_lookup import shorten_ids


def _choose_state_style(facts: StateProperties) -> str:
    if facts.next_actor is NextActor.PERSON:
        return "bold red" if facts.needs_action else "bold yellow"
    if facts.resumes_later:
        return "yellow"
    return "green" if facts.is_success else ""


_STYLES = {
    str(state): _choose_state_style(facts)
    for table in (FLOW_STATES, ENVIRONMENT_STATES, DELETION_STATES, REMEDIATION_STATES)
    for state, facts in table.items()
}

#: The option for the next page.
After = Annotated[
    str | None,
    typer.Option(
        "--after",
        help="Show the next page: give the value of `next` from the previous response.",
        show_default=False,
    ),
]
_SPACING = 2
#: Minimum width of a shortened column.
_NARROWEST = 12


class Kind(StrEnum):
    """How the values of a column are shortened if the table is too wide."""

    TEXT = "text"  #: at its end
    PATH = "path"  #: in the middle
    WORD = "word"  #: never: a state, or a value that is copied into other commands
    NUMBER = "number"  #: never; aligned right, and empty for 0
    ID = "id"  #: to its beginning in a terminal; complete in a pipe


type Cell = str | int | Text
#: What rich draws: a column, and the texts of its cells.
type _Drawn = tuple["Column", list[Text]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its title, and its value for an item."""

    title: str
    of: Callable[[Any], Cell]
    kind: Kind = Kind.TEXT
    #: True to omit it in a narrow terminal.
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A table with a row for each item, and below each row the item's note, if any."""

    columns: Sequence[Column]
    items: Sequence[Any]
    #: Returns the note of an item; empty for none.
    note: Callable[[Any], str] = lambda _: ""
    #: Value of `--after` for the next page; empty on the last page. For pipes: `--query next`.
    next: str = ""
    #: True to shorten nothing.
    is_full: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a table for a terminal, or tab-separated lines for a pipe."""
        if not console.is_terminal:
            yield from self._format_tabbed_lines()
            return
        yield from self._format_lines(options.max_width)
        if self.next:
            yield Text(f"More: add --after {self.next}", style="dim")

    def _format_tabbed_lines(self) -> Iterator[Segment]:
        values = [
            [_format_unstyled_value(column.of(item)) for item in self.items]
            for column in self.columns
        ]
        notes = list(map(self.note, self.items))
        shown = [*zip((one.title for one in self.columns), values, strict=True), ("Note", notes)]
        filled = [(title, texts) for title, texts in shown if any(texts) or not self.items]
        yield _join_with_tabs(title for title, _ in filled)
        for row in zip(*(texts for _, texts in filled), strict=True):
            yield _join_with_tabs(row)

    def _format_lines(self, width: int) -> Iterator[Text]:
        drawn = [(one, self._format_column_values(one)) for one in self.columns]
        drawn = [one for one in drawn if not self.items or any(text.plain for text in one[1])]
        widths = _measure_column_widths(drawn)
        if not self.is_full:
            while sum(widths) + _SPACING * (len(widths) - 1) > width:
                if not (optional := [one for one in drawn if one[0].is_optional]):
                    break
                drawn.remove(optional[-1])
                widths = _measure_column_widths(drawn)
            _shrink_column_widths(
                widths, [one.kind in (Kind.TEXT, Kind.PATH) for one, _ in drawn], width
            )
        sizes = [(one, wide) for (one, _), wide in zip(drawn, widths, strict=True)]
        yield _format_line(sizes, [Text(one.title, style="bold") for one, _ in drawn])
        for number, item in enumerate(self.items):
            yield _format_line(sizes, [texts[number] for _, texts in drawn])
            if note := self.note(item):
                yield from self._format_note_line(note, width)

    def _format_column_values(self, column: Column) -> list[Text]:
        values = [column.of(item) for item in self.items]
        if column.kind is Kind.ID:
            ids = shorten_ids(map(str, values))
            values = [ids[str(one)] for one in values]
        return [_format_styled_value(one) for one in values]

    def _format_note_line(self, note: str, width: int) -> Iterator[Text]:
        second = Text(f"  {remove_unprintable(note)}", style="dim", no_wrap=not self.is_full)
        if not self.is_full:
            second.truncate(width, overflow="ellipsis")
        yield second


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and their values, one line each."""

    items: Mapping[str, Cell]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a line for each value that is not empty, or a grid for a terminal."""
        shown = [(name, value) for name, value in self.items.items() if value]
        if not console.is_terminal:
            yield from (
                _join_with_tabs((name, _format_unstyled_value(value))) for name, value in shown
            )
            return
        grid = Table.grid(padding=(0, _SPACING))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in shown:
            grid.add_row(Text(name, "bold"), _format_styled_value(value))
        yield grid


def _measure_column_widths(drawn: Sequence[_Drawn]) -> list[int]:
    return [max(text.cell_len for text in (Text(one.title), *texts)) for one, texts in drawn]


def _shrink_column_widths(widths: list[int], may_shrink: Sequence[bool], width: int) -> None:
    while sum(widths) + _SPACING * (len(widths) - 1) > width:
        wide = [i for i, one in enumerate(widths) if may_shrink[i] and one > _NARROWEST]
        if not wide:
            return
        widths[max(wide, key=widths.__getitem__)] -= 1


def _format_line(columns: Sequence[tuple[Column, int]], cells: Sequence[Text]) -> Text:
    line = Text(no_wrap=True, overflow="ignore")
    for (column, width), cell in zip(columns, cells, strict=True):
        line.append_text(_format_cell(cell, column.kind, width)).append(" " * _SPACING)
    line.rstrip()
    return line


def _format_cell(cell: Text, kind: Kind, width: int) -> Text:
    part = cell.copy()
    if kind is Kind.PATH and part.cell_len > width:
        tail = part.plain[-((width - 1) * 2 // 3) :]
        head = set_cell_size(part.plain, max(0, width - 1 - cell_len(tail)))
        part.plain = f"{head}…{tail}"
    if kind is Kind.NUMBER:
        part.pad_left(max(0, width - part.cell_len))
    part.truncate(width, overflow="ellipsis", pad=True)
    return part


def _format_unstyled_value(cell: Cell) -> str:
    return "" if cell == 0 else str(cell)


def _format_styled_value(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return Text(remove_unprintable(cell.plain), style=cell.style)
    text = remove_unprintable(_format_unstyled_value(cell))
    return Text(text, style=_STYLES.get(text, ""))


def _join_with_tabs(texts: Iterable[str]) -> Segment:
    """Return the texts separated by tabs, which a rich `Text` would turn into spaces."""
    return Segment(
        "\t".join(
            remove_tabs_and_breaks(remove_unprintable(text).replace("\n", ", ")) for text in texts
        )
        + "\n"
    )
