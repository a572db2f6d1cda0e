"""Read open and current jobs, and counts of closed ones, through the index of jobs.

If the index is not trusted, all rows are read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from shared.concurrency import run_concurrently
from shared.domain.alert import RowName
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.job_index import (
    NamedKind,
    build_index_row_from_key,
    needs_person,
)
from shared.domain.plans.not_migrated import ClosedCounts
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.services import Services
from shared.state.rows import StoredItem, Table, format_sortable_time
from shared.use_cases.read_remediation_rows import RowReader

#: Timer name of the last comparison of the index with all jobs.
COMPARED = "job_index"
#: The comparison runs daily. After this time, an older version of the app may have changed jobs.
_TRUSTED_FOR = timedelta(days=2)
#: Number of rows that are read concurrently.
_AT_ONCE = 50
#: Number of rows that a scan reads in the time of one read by key.
_AS_FAST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJobs:
    """The jobs of the tenant: open ones as rows, most closed flow jobs as counts."""

    #: The current environment jobs.
    environment_jobs: Sequence[EnvironmentJob]
    #: All open flow jobs and some closed ones.
    flow_jobs: Sequence[FlowJob]
    #: Counts of the other closed flow jobs, by environment.
    closed: Mapping[str, ClosedCounts]


#: Current environment jobs, and flow jobs that require an action.
type NeedsPeople = tuple[Sequence[EnvironmentJob], Sequence[FlowJob]]


@dataclass(slots=True)
class _Names:
    #: Partition and key of environment jobs; ids of flow jobs.
    environment_jobs: list[tuple[str, str]] = field(default_factory=list)
    flow_jobs: set[str] = field(default_factory=set)
    #: None if the row with the counts is unreadable.
    closed: ClosedCounts | None = field(default_factory=dict)

    def is_scan_faster(self, ids: Set[str]) -> bool:
        """Return whether a scan of the environment's jobs is faster than reads of these ids."""
        if self.closed is None:
            return True
        count = len(self.flow_jobs) + sum(sum(by.values()) for by in self.closed.values())
        return len(ids) * _AS_FAST > count


async def read_known_jobs(services: Services, reading: RowReader) -> KnownJobs:
    """Return the jobs of the tenant.

    If the index is trusted, most closed flow jobs are only counted.
    """
    tables = services.tables
    if not await _is_trusted(services):
        return KnownJobs(
            environment_jobs=await reading.list_readable(tables.environment_jobs.scan()),
            flow_jobs=await reading.list_readable(tables.flow_jobs.scan()),
            closed={},
        )
    names = await _read_index_by_environment(services)
    return KnownJobs(
        environment_jobs=await _read_environment_jobs(services, names, reading),
        flow_jobs=[
            job
            for environment_id, named in names.items()
            for job in await _read_flow_jobs(services, environment_id, named, reading)
        ],
        closed={one: named.closed for one, named in names.items() if named.closed},
    )


async def read_known_flow_jobs(
    services: Services, environment_jobs: Sequence[EnvironmentJob], reading: RowReader
) -> KnownJobs | None:
    """Return the flow jobs of these environment jobs; most closed ones are only counted.

    Returns None if the index is not trusted, or its counts are unreadable.
    """
    if not await _is_trusted(services):
        return None
    flow_jobs: list[FlowJob] = []
    closed: dict[str, ClosedCounts] = {}
    for one in environment_jobs:
        names = (await _read_index_by_environment(services, partition=one.environment_id))[
            one.environment_id
        ]
        if names.closed is None:
            return None
        found = await _read_flow_jobs(services, one.environment_id, names, reading)
        flow_jobs += [job for job in found if job.environment_job_id == one.id]
        closed[one.environment_id] = {one.id: names.closed.get(one.id, {})}
    return KnownJobs(environment_jobs=environment_jobs, flow_jobs=flow_jobs, closed=closed)


async def read_jobs_needing_people(services: Services, reading: RowReader) -> NeedsPeople:
    """Return the current environment jobs, and the flow jobs that require an action."""
    if await _is_trusted(services):
        environment_jobs = await _read_current_environment_jobs(services, reading)
        marked = await _read_index_by_environment(
            services, [Condition("needs_person", "eq", "yes")]
        )
        places = [(one, job_id) for one, named in marked.items() for job_id in named.flow_jobs]
        flow_jobs: Sequence[FlowJob] = await get_rows(services.tables.flow_jobs, places, reading)
    else:
        known = await read_known_jobs(services, reading)
        environment_jobs, flow_jobs = list(known.environment_jobs), known.flow_jobs
    return environment_jobs, [job for job in flow_jobs if needs_person(job)]


async def count_closed_jobs(services: Services, state: str) -> dict[str, int] | None:
    """Return how many closed flow jobs in this state each environment has.

    Returns None if the index is not trusted.
    """
    if not await _is_trusted(services):
        return None
    is_count = [Condition("kind", "eq", NamedKind.COUNTS)]
    return {
        environment_id: sum(by.get(state, 0) for by in (named.closed or {}).values())
        for environment_id, named in (await _read_index_by_environment(services, is_count)).items()
    }


async def read_environment_names(services: Services, reading: RowReader) -> dict[str, str]:
    """Return the names of environments by id, from their jobs or their settings."""
    if await _is_trusted(services):
        jobs = await _read_current_environment_jobs(services, reading)
    else:
        jobs = await reading.list_readable(services.tables.environment_jobs.scan())
    settings = await reading.list_readable(services.tables.environment_settings.scan("environment"))
    known = {one.environment_id: one.display_name for one in settings if one.display_name}
    return known | {
        job.environment_id: job.environment_name for job in jobs if job.environment_name
    }


async def _read_current_environment_jobs(
    services: Services, reading: RowReader
) -> list[EnvironmentJob]:
    is_environment = [Condition("kind", "eq", NamedKind.ENVIRONMENT_JOB)]
    return await _read_environment_jobs(
        services, await _read_index_by_environment(services, is_environment), reading
    )


async def count_overdue_jobs(services: Services, late: datetime, but: Set[RowName]) -> int:
    """Return how many jobs were due before `late` and are not in `but`."""
    tables, where = services.tables, [Condition("next_check_at", "lt", format_sortable_time(late))]
    overdue = set[RowName]()

    async def add_overdue_rows(table: Table[Any], partition: str | None = None) -> None:
        async for row in table.scan(partition, where=where):
            overdue.add(row.row if isinstance(row, UnreadableRow) else table.get_row_name(row.item))

    if not await _is_trusted(services):
        await add_overdue_rows(tables.flow_jobs)
        await add_overdue_rows(tables.environment_jobs)
        return len(overdue - but)

    async def add_overdue_jobs(table: Table[Any], places: Iterable[tuple[str, str]]) -> None:
        unnoted = [place for place in places if (table.name, *place) not in but]
        found = await get_rows(table, unnoted, RowReader())
        overdue.update(
            table.get_row_name(job)
            for job in found
            if job.next_check_at and job.next_check_at < late
        )

    for environment_id, named in (await _read_index_by_environment(services)).items():
        name = tables.flow_jobs.name
        ids = {one for one in named.flow_jobs if (name, environment_id, one) not in but}
        if named.is_scan_faster(ids):
            await add_overdue_rows(tables.flow_jobs, environment_id)
        else:
            await add_overdue_jobs(tables.flow_jobs, [(environment_id, one) for one in ids])
        await add_overdue_jobs(tables.environment_jobs, named.environment_jobs)
    return len(overdue - but)


async def _is_trusted(services: Services) -> bool:
    run = await services.tables.timer_runs.get("timer", COMPARED)
    return run is not None and services.now - run.item.completed_at < _TRUSTED_FOR


async def _read_index_by_environment(
    services: Services, where: Sequence[Condition] = (), *, partition: str | None = None
) -> dict[str, _Names]:
    """Return the index rows by environment. Of an unreadable row, only the key is used."""
    names: dict[str, _Names] = defaultdict(_Names)
    async for found in services.tables.job_index.scan(partition, where=where):
        row = (
            build_index_row_from_key(*found.row[1:])
            if isinstance(found, UnreadableRow)
            else found.item
        )
        named = names[row.environment_id]
        match row.kind:
            case NamedKind.COUNTS:
                named.closed = row.closed
            case NamedKind.ENVIRONMENT_JOB:
                named.environment_jobs.append((row.remediation_id, row.job_id))
            case NamedKind.FLOW_JOB:
                named.flow_jobs.add(row.job_id)
    return names


async def _read_environment_jobs(
    services: Services, names: Mapping[str, _Names], reading: RowReader
) -> list[EnvironmentJob]:
    places = sorted(place for named in names.values() for place in named.environment_jobs)
    return await get_rows(services.tables.environment_jobs, places, reading)


async def _read_flow_jobs(
    services: Services,
    environment_id: str,
    named: _Names,
    reading: RowReader,
) -> list[FlowJob]:
    table = services.tables.flow_jobs
    if not named.is_scan_faster(named.flow_jobs):
        places = [(environment_id, job_id) for job_id in sorted(named.flow_jobs)]
        return await get_rows(table, places, reading)
    found = await reading.list_readable(table.scan(environment_id))
    return [job for job in found if named.closed is None or job.id in named.flow_jobs]


async def get_rows[T](
    table: Table[T], places: Iterable[tuple[str, str]], reading: RowReader
) -> list[T]:
    """Read rows concurrently, and return those that exist and are readable.

    `reading` collects the unreadable ones.
    """
    found: list[T] = []

    async def get_row(place: tuple[str, str]) -> StoredItem[T] | None:
        with reading.collect_unreadable():
            return await table.get(*place)
        return None

    for some in batched(places, _AT_ONCE, strict=False):
        async with run_concurrently() as group:
            tasks = [group.create_task(get_row(place)) for place in some]
        found += [kept.item for task in tasks if (kept := task.result())]
    return found
