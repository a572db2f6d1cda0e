"""The rows of a list of flows as markup: there may be thousands, and a template is slow at them."""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from functions.dashboard.display_state import FlowDisplayState


class FlowTableRow(NamedTuple):
    """One flow in a list."""

    id: str
    title: str
    #: Its environment; empty: there is one only.
    where: str
    standing: FlowDisplayState
    to_do: str
    #: 0: none is known.
    callers: int


def rows_of(lines: Iterable[FlowTableRow], here: str) -> str:
    """Return the rows of a table, escaped; `here` is the address of the remediation's page."""
    link = f'<tr><td><a href="{escape(here)}/flows/'
    # Most flows stand where others do, so what follows their titles is made once for all of them.
    rests: dict[tuple[str, FlowDisplayState, str, int], str] = {}
    rows = []
    for line in lines:
        identity, title = line[:2]
        shared = line[2:]
        rest = rests.get(shared)
        if rest is None:
            rest = rests[shared] = _rest(*shared)
        rows.append(f'{link}{escape(identity)}">{escape(title)}{rest}')
    return "".join(rows)


def _rest(where: str, standing: FlowDisplayState, to_do: str, callers: int) -> str:
    """Return what follows the title in a row."""
    place = f' <span class="dim small">{escape(where)}</span>' if where else ""
    deed = f" <b>{escape(to_do)}</b>" if to_do else ""
    return (
        f"</a>{place}</td>\n"
        f'<td><span class="tag {escape(standing.look)}">{escape(standing.words)}</span></td>\n'
        f"<td>{escape(standing.reason)}{deed}</td>\n"
        f"<td>{callers or ''}</td></tr>\n"
    )
