"""Build the history of a remediation from the entries of all its jobs, newest first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nlargest
from itertools import pairwise
from typing import NamedTuple

from functions.dashboard.display_state import choose_css_class
from shared.domain.jobs.durable_job import HISTORY_LENGTH, HistoryEntry
from shared.html_pages import format_span
from shared.use_cases.show_remediation import RemediationView

#: Number of entries on one page.
ENTRIES_ON_PAGE = 40
#: The filters with their words; `person` and `done` are the look that an entry must have.
FILTERS: Mapping[str, str] = {
    "all": "Everything",
    "person": "Blocked or failed",
    "done": "Migrated or prepared",
    "environment": "Environments only",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Selects entries of a remediation's history, and a page of them."""

    #: A key of `FILTERS`.
    kind: str = "all"
    #: Number of matching entries before the page.
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """An entry of a job's history, the job's title, and how long the job was in this state."""

    entry: HistoryEntry
    look: str
    title: str
    #: Workflow id; empty for an environment.
    flow_id: str
    #: None: it is the job's latest entry, or lasted less than a second.
    duration: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryGroup:
    """Entries of several flows with the same minute, state and message."""

    #: Newest first; one entry if no other is equal.
    lines: list[HistoryLine]

    @property
    def duration(self) -> timedelta | None:
        """Return how long a single entry lasted. Returns None for several entries, or if the
        message says it.
        """
        [first, *others] = self.lines
        is_said = first.duration and f"for {format_span(first.duration)}" in first.entry.message
        return None if others or is_said else first.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A page of a remediation's history."""

    lines: list[HistoryLine]
    start: int
    total: int
    #: A job has as many entries as its row keeps, so earlier ones may be missing.
    may_be_cut: bool

    @property
    def groups(self) -> list[HistoryGroup]:
        """Return the entries of the page, in which equal entries of several flows are one group."""
        found: dict[tuple[object, ...], list[HistoryLine]] = {}
        seen = Counter[tuple[object, ...]]()
        for line in self.lines:
            minute = line.entry.changed_at.replace(second=0, microsecond=0)
            equal = (minute, line.entry.state, line.entry.message)
            # A group has one entry of a flow, and an environment is not in a group of flows.
            of_job = (*equal, line.flow_id or line.title)
            seen[of_job] += 1
            found.setdefault((*equal, bool(line.flow_id), seen[of_job]), []).append(line)
        return [HistoryGroup(lines=lines) for lines in found.values()]


def select_history_page(
    shown: RemediationView, names: Mapping[str, str], chosen: HistoryFilter
) -> HistoryPage:
    """Return a page of the history of all jobs of a remediation.

    `names` contains the environments' names by id.
    """
    sources = [
        _Source(job.history, names[job.environment_id], "") for job in shown.environment_jobs
    ]
    if chosen.kind != "environment":
        sources += [
            _Source(job.history, job.display_name, job.original.id) for job in shown.flow_jobs
        ]
    sources = [source for source in sources if source.history]
    end = chosen.start + ENTRIES_ON_PAGE
    if chosen.kind in {"all", "environment"}:
        total = sum(len(source.history) for source in sources)
        # The job of any other entry has a later one, so its entries are not on this page.
        sources_on_page = nlargest(end, sources, key=_get_last_changed_at)
        found = [line for source in sources_on_page for line in _build_history_lines(source)]
    else:
        found = [
            line
            for source in sources
            for line in _build_history_lines(source)
            if line.look == chosen.kind
        ]
        total = len(found)
    found.sort(key=lambda line: line.entry.changed_at, reverse=True)
    return HistoryPage(
        lines=found[chosen.start : end],
        start=chosen.start,
        total=total,
        may_be_cut=any(len(source.history) >= HISTORY_LENGTH for source in sources),
    )


class _Source(NamedTuple):
    history: Sequence[HistoryEntry]
    title: str
    flow_id: str


def _build_history_lines(source: _Source) -> list[HistoryLine]:
    history = source.history
    durations = [after.changed_at - before.changed_at for before, after in pairwise(history)]
    lines = [
        HistoryLine(
            entry=entry,
            look=_choose_css_class_of_entry(entry, source),
            title=source.title,
            flow_id=source.flow_id,
            duration=duration if duration and duration.total_seconds() >= 1 else None,
        )
        for entry, duration in zip(history, [*durations, None], strict=True)
    ]
    return lines[::-1]


def _choose_css_class_of_entry(entry: HistoryEntry, source: _Source) -> str:
    look = choose_css_class(entry.state)
    # The job of an environment is completed also if its flows are blocked.
    return "over" if look == "done" and not source.flow_id else look


def _get_last_changed_at(source: _Source) -> datetime:
    return source.history[-1].changed_at
