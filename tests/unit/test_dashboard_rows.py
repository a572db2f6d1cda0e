"""Rows of the dashboard's list of flows: they are markup that no template escapes."""

from functions.dashboard.display_state import FlowDisplayState
from functions.dashboard.table_rows import FlowTableRow, render_flow_rows

HOSTILE = "<i>&\"'"
ESCAPED = "&lt;i&gt;&amp;&quot;&#x27;"


def test_whatever_stands_in_a_row_is_escaped() -> None:
    """Titles and reasons are the tenant's."""
    standing = FlowDisplayState(key=HOSTILE, words=HOSTILE, look=HOSTILE, reason=HOSTILE)
    line = FlowTableRow(HOSTILE, HOSTILE, HOSTILE, standing, HOSTILE, 2)

    found = render_flow_rows([line], HOSTILE)

    assert HOSTILE not in found
    assert "<i>" not in found
    assert found.count(ESCAPED) == 8


def test_flows_that_stand_alike_have_rows_of_their_own() -> None:
    """What is shared is made once; title, environment and callers are each flow's."""
    standing = FlowDisplayState(key="work", words="copying", look="work")
    lines = [
        FlowTableRow("1", "Orders", "", standing, "", 0),
        FlowTableRow("2", "Bills", "Sales", standing, "", 0),
        FlowTableRow("3", "Offers", "", standing, "Wait.", 3),
    ]
    tag = '<td><span class="tag work">copying</span></td>'

    assert render_flow_rows(lines, "/r") == (
        f'<tr><td><a href="/r/flows/1">Orders</a></td>\n{tag}\n<td></td>\n<td></td></tr>\n'
        '<tr><td><a href="/r/flows/2">Bills</a> <span class="dim small">Sales</span></td>\n'
        f"{tag}\n<td></td>\n<td></td></tr>\n"
        f'<tr><td><a href="/r/flows/3">Offers</a></td>\n{tag}\n'
        "<td> <b>Wait.</b></td>\n<td>3</td></tr>\n"
    )
