"""Show the demo while it runs: as a live picture in a terminal, as plain lines elsewhere."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local_cloud.demo.progress import DemoProgress
from shared.domain.jobs.flow_states import FlowJobState

_NOTES = 5
_PER_SECOND = 4
_STYLES = {
    "retired": "green",
    "prepared": "green",
    "blocked": "yellow",
    "failed": "red",
    "rolled_back": "cyan",
}


async def run_with_view[T](
    console: Console, progress: DemoProgress, work: Coroutine[Any, Any, T]
) -> T:
    if not console.is_terminal:
        progress.listeners.append(
            lambda text: console.print(f"{progress.seconds:6.1f} s  {text}", soft_wrap=True)
        )
        return await work
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        with Live(console=console, auto_refresh=False) as live:
            while not task.done():
                live.update(build_picture(progress), refresh=True)
                await asyncio.wait([task], timeout=1 / _PER_SECOND)
            live.update(build_picture(progress), refresh=True)
    return task.result()


def build_picture(progress: DemoProgress) -> Group:
    return Group(
        _build_steps(progress),
        Table.grid(padding=(0, 2), expand=False)
        if not progress.environments
        else _build_tables(progress),
        Panel(_build_notes(progress), title="What happens", border_style="dim"),
    )


def _build_steps(progress: DemoProgress) -> Panel:
    lines = Table.grid(padding=(0, 1))
    for number, title in enumerate(progress.steps):
        if number < progress.done:
            lines.add_row(Text("✓", style="green"), Text(title, style="dim"))
        elif number == progress.done:
            lines.add_row(Text("▶", style="cyan"), Text(title, style="bold"))
        else:
            lines.add_row(" ", Text(title, style="dim"))
    return Panel(lines, title=f"The scenario · {progress.seconds:.0f} s", border_style="cyan")


def _build_tables(progress: DemoProgress) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(_build_environments(progress), _build_jobs(progress), _build_traffic(progress))
    return grid


def _build_environments(progress: DemoProgress) -> Table:
    table = Table("Environment", "Policy", "On the customer's key", title="Environments")
    for line in progress.environments:
        migrating = " …" if line.is_migrating else ""
        table.add_row(line.name, line.link_status, f"{line.protected} of {line.flows}{migrating}")
    return table


def _build_jobs(progress: DemoProgress) -> Table:
    states = progress.count_states()
    table = Table("State", "Flows", title="Flow jobs")
    for state in FlowJobState:
        if states[state]:
            table.add_row(Text(state, style=_STYLES.get(state, "")), str(states[state]))
    return table


def _build_traffic(progress: DemoProgress) -> Table:
    account, lost = progress.account, len(progress.losses)
    table = Table("Calls", "", title="Traffic")
    table.add_row("sent", str(len(account.calls)))
    table.add_row("answered", str(account.count_answered()))
    table.add_row("lost", Text(str(lost), style="red bold" if lost else "green"))
    systems = f"{len(account.moved)} of {len(account.held_first)}"
    table.add_row("systems with a new URL", systems)
    table.add_row("runs by hand", str(account.by_hand.total()))
    once = sum(count.once for count in account.events.values())
    table.add_row("events", f"{once} once, {account.count_processed_twice()} twice")
    return table


def _build_notes(progress: DemoProgress) -> Table | Text:
    if not progress.notes:
        return Text("Starting the local cloud and the app …")
    lines = Table.grid(padding=(0, 2))
    lines.add_column(justify="right", no_wrap=True, style="dim")
    for at, text in progress.notes[-_NOTES:]:
        lines.add_row(f"{at:.1f} s", Text(text))
    return lines
