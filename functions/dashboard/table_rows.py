"""Build the rows of a flow list as HTML; a template would be too slow for thousands of rows."""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from functions.dashboard.display_state import FlowDisplayState


class FlowTableRow(NamedTuple):
    """One row of a flow list."""

    id: str
    title: str
    #: Name of the environment; empty if the remediation has only one.
    where: str
    standing: FlowDisplayState
    to_do: str
    callers: int


def render_flow_rows(lines: Iterable[FlowTableRow], here: str) -> str:
    """Return the table rows, escaped; `here` is the URL of the remediation page."""
    link = f'<tr><td><a href="{escape(here)}/flows/'
    # Most flows share their state and texts, so the cells after the name are built once for each.
    cells_by_content: dict[tuple[str, FlowDisplayState, str, int], str] = {}
    rows = []
    for line in lines:
        identity, title = line[:2]
        shared = line[2:]
        cells = cells_by_content.get(shared)
        if cells is None:
            cells = cells_by_content[shared] = _cells_after_name(*shared)
        rows.append(f'{link}{escape(identity)}">{escape(title)}{cells}')
    return "".join(rows)


def _cells_after_name(where: str, standing: FlowDisplayState, to_do: str, callers: int) -> str:
    """Return the cells after the flow's name."""
    place = f' <span class="dim small">{escape(where)}</span>' if where else ""
    fix = f" <b>{escape(to_do)}</b>" if to_do else ""
    return (
        f"</a>{place}</td>\n"
        f'<td><span class="tag {escape(standing.look)}">{escape(standing.words)}</span></td>\n'
        f"<td>{escape(standing.reason)}{fix}</td>\n"
        f"<td>{callers or ''}</td></tr>\n"
    )
