"""Compare the index of jobs with all jobs once a day, and correct it.

The first comparison creates the index. Before it completes, or if none completed for two days, all
rows are read instead (`read_job_index.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import batched

from shared.alerts import read_readable
from shared.domain.plans.job_index import (
    IndexRow,
    NamedKind,
    add_closed_jobs,
    build_environment_job_index_row,
    build_flow_job_index_row,
    build_index_row_from_key,
    correct_index_row,
    find_current_environment_jobs,
    get_count_key,
    is_closed,
)
from shared.domain.timer_run import TimerRun
from shared.errors import AlreadyExists, Conflict, NotFound, UnreadableRow
from shared.ports import DeleteRow, InsertRow, Operation, ReplaceRow
from shared.services import Services
from shared.state.job_index import build_empty_counts
from shared.state.rows import StoredItem
from shared.use_cases.read_job_index import COMPARED

#: Number of names that one transaction removes, beside the counts.
_AT_ONCE = 90


@dataclass(slots=True)
class _FlowJobs:
    #: The key under which each closed job is counted.
    closed: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: The index rows that the other jobs need.
    needed: dict[str, IndexRow] = field(default_factory=dict)


async def compare_job_index(services: Services) -> None:
    """Compare the index with all jobs, correct it, and record the time.

    Raises `TransientError` if the store does not answer.
    """
    index = services.tables.job_index
    # Names are read before the jobs, so that a name that is written later is not removed.
    before: dict[str, list[tuple[IndexRow, str | None]]] = {}
    counts: dict[str, StoredItem[IndexRow] | UnreadableRow] = {}
    async for found in index.scan():
        if isinstance(found, UnreadableRow):
            _, environment_id, key = found.row
            row, etag = build_index_row_from_key(environment_id, key), None
        else:
            environment_id, row, etag = found.item.environment_id, found.item, found.etag
        if row.kind is NamedKind.COUNTS:
            counts[environment_id] = found
        else:
            before.setdefault(environment_id, []).append((row, etag))
    await _compare_environment_jobs(services, before)
    is_whole = True
    flow_jobs = await _read_flow_jobs(services)
    for environment_id in sorted({*flow_jobs, *before, *counts}):
        jobs = flow_jobs.get(environment_id, _FlowJobs())
        named = before.get(environment_id, ())
        names = [one for one in named if one[0].kind is NamedKind.FLOW_JOB]
        try:
            await _compare_flow_jobs(
                services, environment_id, jobs, names, counts.get(environment_id)
            )
        except (Conflict, AlreadyExists, NotFound):
            # Changed meanwhile: counts that existed before are still correct.
            is_whole = is_whole and environment_id in counts
    if is_whole:
        await services.tables.timer_runs.upsert(TimerRun(timer=COMPARED, completed_at=services.now))


async def _read_flow_jobs(services: Services) -> dict[str, _FlowJobs]:
    found: dict[str, _FlowJobs] = {}
    async for row in services.tables.flow_jobs.scan():
        # an unreadable job keeps its name, so that readers learn of it
        if isinstance(row, UnreadableRow):
            _, environment_id, identity = row.row
            name = IndexRow(environment_id=environment_id, job_id=identity)
            found.setdefault(environment_id, _FlowJobs()).needed[identity] = name
            continue
        jobs = found.setdefault(row.item.environment_id, _FlowJobs())
        if is_closed(row.item):
            jobs.closed[row.item.id] = get_count_key(row.item)
        else:
            jobs.needed[row.item.id] = build_flow_job_index_row(row.item)
    return found


async def _compare_flow_jobs(
    services: Services,
    environment_id: str,
    jobs: _FlowJobs,
    names: Sequence[tuple[IndexRow, str | None]],
    counts: StoredItem[IndexRow] | UnreadableRow | None,
) -> None:
    """Correct the index of an environment's flow jobs.

    Raises `Conflict`, `AlreadyExists` or `NotFound` if a row of the index was changed since it was
    read.
    """
    index, now = services.tables.job_index, services.now
    there = {row.job_id for row, _ in names}
    await index.upsert(*(row for identity, row in jobs.needed.items() if identity not in there))
    # A job that was named since the first read was named before its row was found.
    async for found in index.scan(environment_id):
        name = found.row[2] if isinstance(found, UnreadableRow) else found.item.key
        there.add(build_index_row_from_key(environment_id, name).job_id)
    kept = await _correct_counts(
        services, environment_id, [jobs.closed[one] for one in jobs.closed.keys() - there], counts
    )
    superfluous: list[tuple[IndexRow, str]] = []
    for row, etag in names:
        needed = jobs.needed.get(row.job_id)
        if etag is None:
            await index.upsert(needed or row)
            continue
        is_marked = needed is not None and needed.needs_person
        after = correct_index_row(
            row, is_needed=needed is not None, needs_person=is_marked, now=now
        )
        if after is None:
            superfluous.append((row, etag))
        elif after != row:
            with suppress(Conflict):
                await index.replace(StoredItem(row, etag), after)
    for some in batched(superfluous, _AT_ONCE, strict=False):
        gone = [jobs.closed[row.job_id] for row, _ in some if row.job_id in jobs.closed]
        more = replace(kept.item, closed=add_closed_jobs(kept.item.closed or {}, gone))
        operations: list[Operation] = [ReplaceRow(index.build_row(more, kept.etag))]
        operations += [DeleteRow(index.build_row(row, etag)) for row, etag in some]
        stored, *_ = await index.store.write(*operations)
        kept = index.parse_row(stored)


async def _correct_counts(
    services: Services,
    environment_id: str,
    closed: Iterable[tuple[str, str]],
    counts: StoredItem[IndexRow] | UnreadableRow | None,
) -> StoredItem[IndexRow]:
    index = services.tables.job_index
    right = replace(build_empty_counts(environment_id), closed=add_closed_jobs({}, closed))
    if counts is None:
        return await _write_index_row(services, InsertRow(index.build_row(right)))
    if isinstance(counts, UnreadableRow):
        row = await index.store.get(*counts.row)
        return await _write_index_row(
            services, ReplaceRow(index.build_row(right, row.etag if row else ""))
        )
    if counts.item == right:
        return counts
    return await index.replace(counts, right)


async def _write_index_row(
    services: Services, operation: InsertRow | ReplaceRow
) -> StoredItem[IndexRow]:
    (row,) = await services.tables.store.write(operation)
    return services.tables.job_index.parse_row(row)


async def _compare_environment_jobs(
    services: Services, before: Mapping[str, Sequence[tuple[IndexRow, str | None]]]
) -> None:
    tables, now = services.tables, services.now
    index = tables.job_index
    found = tables.environment_jobs.scan()
    jobs = [one.item async for one in found if not isinstance(one, UnreadableRow)]
    remediations = read_readable(services, tables.remediations.scan("remediation"))
    created = {one.item.id: one.item.created_at async for one in remediations}
    current = find_current_environment_jobs(jobs, created, now)
    needed = {identity: build_environment_job_index_row(job) for identity, job in current.items()}
    there = {row.job_id for rows in before.values() for row, _ in rows}
    await index.upsert(*(row for identity, row in needed.items() if identity not in there))
    readable_ids = {job.id for job in jobs}
    for row, etag in (one for rows in before.values() for one in rows):
        if row.kind is not NamedKind.ENVIRONMENT_JOB:
            continue
        # An unreadable job keeps its name, so that readers learn of it.
        is_needed = row.job_id in needed or await _is_unreadable(services, row, readable_ids)
        if etag is None:
            await index.upsert(replace(row, superfluous_since=None))
            continue
        after = correct_index_row(row, is_needed=is_needed, now=now)
        with suppress(Conflict, NotFound):
            if after is None:
                await index.delete(StoredItem(row, etag))
            elif after != row:
                await index.replace(StoredItem(row, etag), after)


async def _is_unreadable(services: Services, row: IndexRow, readable_ids: set[str]) -> bool:
    if row.job_id in readable_ids:
        return False
    table = services.tables.environment_jobs
    return await table.store.get(table.name, row.remediation_id, row.job_id) is not None
