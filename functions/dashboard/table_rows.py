"""Format lists of flows as HTML without a template, because a template is too slow for thousands of
lines.
"""

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from functions.dashboard.flow_steps import FlowSteps
from shared.html_pages import format_commands

#: The suffix of a CSS class, and the icon, of each look.
_CLASSES = {"person": "bad", "wait": "warn", "work": "info", "done": "ok", "over": "idle"}
_ICONS = {"person": "stop", "wait": "alert", "work": "go", "done": "ok", "over": "idle"}


class FlowTableRow(NamedTuple):
    """A flow as a line of a list on the page of a remediation."""

    id: str
    title: str
    #: Name of the environment if the remediation has several, and an owner who has left.
    where: str
    look: str
    #: The icon if it is not the look's own.
    shape: str
    steps: FlowSteps | None
    #: How far the flow is, and why, in a few words each.
    words: str
    reason: str
    #: The whole reason, if `reason` is only its beginning.
    details: str
    #: What a person does about it, unless the list's heading says it.
    fix: str
    #: What happens next, and when.
    next_step: str


def render_flow_rows(lines: Iterable[FlowTableRow], here: str, *, shows_steps: bool = True) -> str:
    """Return the lines as escaped HTML list items.

    `here` is the URL of the remediation's page. `shows_steps` adds the completed steps of each
    flow.
    """
    link = f'<li data-part><b><a href="{escape(here)}/flows/'
    # Most flows share their state and texts, so what follows the name is built once for each.
    cells_by_content: dict[tuple[object, ...], str] = {}
    rows = []
    for line in lines:
        shared = line[2:]
        cells = cells_by_content.get(shared)
        if cells is None:
            cells = cells_by_content[shared] = _format_cells_after_name(
                line, shows_steps=shows_steps
            )
        rows.append(f'{link}{escape(line.id)}">{escape(line.title)}{cells}')
    return "".join(rows)


def _format_cells_after_name(line: FlowTableRow, *, shows_steps: bool) -> str:
    place = f'<span class="sub">{escape(line.where)}</span>' if line.where else ""
    reason = escape(line.reason)
    if line.details:
        reason = (
            f'<details class="more"><summary><span class="of">{reason}</span> '
            f'<span class="do">Details</span></summary>{_convert_to_html(line.details)}</details>'
        )
    fix = f'<span class="sub"><b>Fix:</b> {_convert_to_html(line.fix)}</span>' if line.fix else ""
    state = _format_state_or_steps(line) if shows_steps else ""
    return (
        f"</a>{place}</b>{state}<div>{reason}{fix}</div>"
        f'<span class="dim small">{escape(line.next_step)}</span></li><!--/part-->\n'
    )


def _convert_to_html(text: str) -> str:
    return format_commands(text).replace("`", "") if "`" in text else escape(text)


def _format_state_or_steps(line: FlowTableRow) -> str:
    words = escape(line.words)
    if line.steps is None:
        icon = escape(line.shape or _ICONS[line.look])
        return (
            f'<span class="says is-{_CLASSES[line.look]} small"><svg class="i" aria-hidden="true">'
            f'<use href="#i-{icon}"/></svg><span>{words}</span></span>'
        )
    following = "stop" if line.steps.is_stopped else "now"
    classes = ("done",) * line.steps.done + (following,)
    boxes = "".join(
        f'<i class="{classes[number]}"></i>' if number < len(classes) else "<i></i>"
        for number in range(len(line.steps.names))
    )
    label = escape(line.steps.label)
    return (
        f'<span class="far"><span class="steps5" role="img" aria-label="{label}">'
        f'{boxes}</span><span class="small">{words}</span></span>'
    )
