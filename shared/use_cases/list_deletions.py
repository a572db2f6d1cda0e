"""List the deletions of the whole tenant, and the retired originals without a deletion."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.services import Services
from shared.use_cases.read_job_index import count_closed_jobs, read_environment_names
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.schedule_deletions import find_earliest_deletion_at

#: A number in a name: `Flow 2` comes before `Flow 10`.
_DIGITS = re.compile(r"\d+")
#: The order in which states are listed: what requires an action first, what is over last.
_ORDER = (
    DeletionState.BLOCKED,
    DeletionState.DELETING,
    DeletionState.ARCHIVING,
    DeletionState.SCHEDULED,
    DeletionState.DELETED,
    DeletionState.CANCELLED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionFilter:
    """Conditions that deletions must meet. An empty condition accepts all."""

    state: DeletionState | None = None
    environment_id: str = ""
    #: An id or its beginning.
    remediation_id: str = ""
    #: Part of the original's name or id.
    search: str = ""

    def accepts_original(self, one: Deletion | FlowJob) -> bool:
        """Return whether an original meets the conditions `remediation_id` and `search`."""
        ids: Iterable[str] = (
            one.original.ids if isinstance(one, FlowJob) else (one.original_id, one.flow_name)
        )
        names = " ".join((one.display_name, *ids)).casefold()
        return (
            one.remediation_id.startswith(self.remediation_id.lower())
            and self.search.casefold() in names
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionGroup:
    """The deletions in one remediation that a person scheduled for the same time."""

    remediation_id: str
    delete_at: datetime
    approved_by: str
    #: When the last of them was scheduled.
    approved_at: datetime
    #: By state and name.
    deletions: tuple[Deletion, ...]

    @property
    def states(self) -> dict[DeletionState, int]:
        """Return the number of deletions in each state."""
        counts = Counter(one.state for one in self.deletions)
        return {state: counts[state] for state in _ORDER if counts[state]}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredOriginal:
    """A retired original whose deletion is not scheduled."""

    job: FlowJob
    #: Earliest time for which its deletion can be scheduled.
    earliest_delete_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDeletions:
    """The deletions of the tenant that a filter accepts."""

    #: What requires an action first.
    groups: tuple[DeletionGroup, ...]
    #: Number of deletions by state, without the condition about the state.
    states: Mapping[DeletionState, int]
    #: Names of environments, by id.
    names: Mapping[str, str]
    #: The least number of retired originals without a deletion, by environment: originals that the
    #: app still checks are not counted. None: not known.
    undeleted_counts: Mapping[str, int] | None
    unreadable_rows: tuple[UnreadableRow, ...]

    @property
    def deletions(self) -> tuple[Deletion, ...]:
        """Return the deletions in the order of their groups."""
        return tuple(one for group in self.groups for one in group.deletions)


async def list_deletions(services: Services, wanted: DeletionFilter) -> TenantDeletions:
    """Return the deletions that the filter accepts, in groups."""
    reading = RowReader()
    rows = services.tables.deletions.scan(wanted.environment_id or None)
    deletions = await reading.list_readable(rows)
    accepted = [one for one in deletions if wanted.accepts_original(one)]
    chosen = [one for one in accepted if wanted.state in (None, one.state)]
    retired = await count_closed_jobs(services, FlowJobState.RETIRED)
    kept = DeletionState.CANCELLED
    taken = Counter(one.environment_id for one in deletions if one.state is not kept)
    hidden = Counter(row.row[1] for row in reading.unreadable)
    return TenantDeletions(
        groups=tuple(group_deletions(chosen)),
        states=Counter(one.state for one in accepted),
        names=await read_environment_names(services, reading),
        undeleted_counts=None
        if retired is None
        else {
            one: number - taken[one] - hidden[one]
            for one, number in retired.items()
            if number > taken[one] + hidden[one] and wanted.environment_id in ("", one)
        },
        unreadable_rows=tuple(reading.unreadable),
    )


async def list_undeleted_originals(
    services: Services, wanted: DeletionFilter
) -> tuple[list[RetiredOriginal], RowReader]:
    """Return the retired originals of an environment that have no deletion.

    They are sorted by remediation and name. Also returns the reader, which has collected unreadable
    rows.
    """
    reading, tables = RowReader(), services.tables
    is_retired = [Condition("state", "eq", FlowJobState.RETIRED)]
    jobs = await reading.list_readable(
        tables.flow_jobs.scan(wanted.environment_id, where=is_retired)
    )
    deletions = await reading.list_readable(tables.deletions.scan(wanted.environment_id))
    taken = {one.job_id for one in deletions if one.state is not DeletionState.CANCELLED}
    taken |= {row.row[2] for row in reading.unreadable}  # these may be scheduled
    found = [
        RetiredOriginal(job=job, earliest_delete_at=max(first, services.now))
        for job in jobs
        if job.id not in taken
        and wanted.accepts_original(job)
        and (first := find_earliest_deletion_at(services, job))
    ]
    found.sort(key=lambda one: (one.job.remediation_id, one.job.display_name.casefold()))
    return found, reading


def group_deletions(deletions: Sequence[Deletion]) -> list[DeletionGroup]:
    """Return the deletions in groups: first blocked, then other open, then closed ones."""
    by_key: dict[tuple[str, datetime, str], list[Deletion]] = {}
    for one in deletions:
        key = (one.remediation_id, one.delete_at, one.approved_by)
        by_key.setdefault(key, []).append(one)
    groups = [
        DeletionGroup(
            remediation_id=remediation_id,
            delete_at=delete_at,
            approved_by=approved_by,
            approved_at=max(one.approved_at for one in found),
            deletions=tuple(sorted(found, key=_build_sort_key)),
        )
        for (remediation_id, delete_at, approved_by), found in by_key.items()
    ]
    return sorted(groups, key=_build_group_sort_key)


def _build_sort_key(one: Deletion) -> tuple[int, str, str]:
    name = _DIGITS.sub(lambda found: found[0].zfill(9), one.display_name.casefold())
    return _ORDER.index(one.state), name, one.original_id


def _build_group_sort_key(one: DeletionGroup) -> tuple[int, float, str]:
    first = min(map(_ORDER.index, one.states))
    is_over = first >= _ORDER.index(DeletionState.DELETED)
    moment = one.delete_at.timestamp()
    if first == _ORDER.index(DeletionState.BLOCKED):
        return 0, moment, one.remediation_id
    return (2, -moment, one.remediation_id) if is_over else (1, moment, one.remediation_id)
