"""Keep the index of jobs consistent with their rows: it is written first.

A process that dies in between leaves an index entry without a job, which the daily comparison
(`shared/use_cases/compare_job_index.py`) removes. An open job always has an entry.
"""

from contextlib import suppress
from dataclasses import replace

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.job_index import (
    IndexRow,
    counted_as,
    has_to_be_named,
    is_closed,
    name_of_environment_job,
    name_of_flow_job,
    with_closed,
)
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import AlreadyExists, Conflict, NotFound, UnreadableRow
from shared.ports import InsertRow, Operation, ReplaceRow
from shared.rows import Table


async def index_flow_job(index: Table[IndexRow], before: FlowJob | None, after: FlowJob) -> None:
    """Add a flow job to the index before it is written in place of `before`."""
    if not has_to_be_named(before, after):
        return
    if before is None or not is_closed(before):
        await index.upsert(name_of_flow_job(after))
        return
    # Also if it has an entry: a comparison that began earlier must not remove it.
    while True:
        with suppress(Conflict, AlreadyExists, NotFound):
            await index.store.write(*await _list_reopening_operations(index, before, after))
            return


async def index_environment_job(
    index: Table[IndexRow], before: EnvironmentJob | None, after: EnvironmentJob
) -> None:
    """Add an environment job to the index before it is written in place of `before`."""
    if before is None or (before.is_inactive and not after.is_inactive):
        await index.upsert(name_of_environment_job(after))


async def _list_reopening_operations(
    index: Table[IndexRow], before: FlowJob, after: FlowJob
) -> tuple[Operation, ...]:
    """Return the operations that add an entry for a reopened job and no longer count it as
    closed.
    """
    name = name_of_flow_job(after)
    there = await index.store.get(index.name, *index.address(name))
    if there:
        return (ReplaceRow(index.row(name, there.etag)),)
    nothing = build_empty_counts(after.environment_id)
    row = await index.store.get(index.name, *index.address(nothing))
    if row is None:
        return InsertRow(index.row(name)), InsertRow(index.row(nothing))
    counts = None
    with suppress(UnreadableRow):
        counts = index.read(row).item
    if counts is None or counts.closed is None:  # written anyway, so that a comparison detects it
        return InsertRow(index.row(name)), ReplaceRow(row)
    fewer = replace(counts, closed=with_closed(counts.closed, [counted_as(before)], times=-1))
    return InsertRow(index.row(name)), ReplaceRow(index.row(fewer, row.etag))


def build_empty_counts(environment_id: str) -> IndexRow:
    """Return the counts of an environment without closed jobs."""
    return IndexRow(environment_id=environment_id, closed={})
