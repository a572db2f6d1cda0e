"""Keep the index of jobs consistent with the rows of jobs: the index is written first.

A process that crashes between the two writes leaves an index entry without a job. The daily
comparison (`shared/use_cases/compare_job_index.py`) removes this entry. An open job always has an
entry.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.concurrency import read_each
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.job_index import (
    IndexRow,
    add_closed_jobs,
    build_environment_job_index_row,
    build_flow_job_index_row,
    get_count_key,
    is_closed,
    needs_index_entry,
)
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import AlreadyExists, Conflict, NotFound, UnreadableRow
from shared.ports import InsertRow, Operation, ReplaceRow, StoreRow
from shared.state.rows import Table

type _Change[J] = tuple[J | None, J]


async def index_flow_jobs(index: Table[IndexRow], changes: Sequence[_Change[FlowJob]]) -> None:
    """Write the index entries that changes of flow jobs need. Call it before the jobs are written.

    All jobs belong to one environment.
    """
    named = [one for one in changes if needs_index_entry(*one)]
    reopened = [(before, after) for before, after in named if before and is_closed(before)]
    opened = [after for before, after in named if before is None or not is_closed(before)]
    if opened:
        await index.upsert(*map(build_flow_job_index_row, opened))
    # Also those with an entry: a comparison that began earlier must not remove it.
    may_have_names = False
    while reopened:
        try:
            list_operations = _list_reopening_operations(
                index, reopened, may_have_names=may_have_names
            )
            await index.store.write(*await list_operations)
        except AlreadyExists:
            may_have_names = True
        except (Conflict, NotFound):
            continue
        else:
            return


async def index_environment_jobs(
    index: Table[IndexRow], changes: Sequence[_Change[EnvironmentJob]]
) -> None:
    """Write the index entries of new and reopened environment jobs, before the jobs are written."""
    for before, after in changes:
        if before is None or (before.is_inactive and not after.is_inactive):
            await index.upsert(build_environment_job_index_row(after))


async def _list_reopening_operations(
    index: Table[IndexRow], changes: Sequence[tuple[FlowJob, FlowJob]], *, may_have_names: bool
) -> Sequence[Operation]:
    """Return the operations that index reopened jobs. Those without an entry are no longer counted
    as closed.

    Entries are read only if `may_have_names`, because usually there are none.
    """

    async def read_name(name: IndexRow) -> StoreRow | None:
        return await index.store.get(index.name, *index.get_address(name))

    names = [build_flow_job_index_row(after) for _, after in changes]
    rows = await read_each(names, read_name) if may_have_names else [None] * len(names)
    operations: list[Operation] = [
        ReplaceRow(index.build_row(name, row.etag)) if row else InsertRow(index.build_row(name))
        for name, row in zip(names, rows, strict=True)
    ]
    counted = [before for (before, _), row in zip(changes, rows, strict=True) if row is None]
    if counted:
        operations.append(await _build_count_change(index, counted))
    return operations


async def _build_count_change(index: Table[IndexRow], reopened: Sequence[FlowJob]) -> Operation:
    nothing = build_empty_counts(reopened[0].environment_id)
    row = await index.store.get(index.name, *index.get_address(nothing))
    if row is None:
        return InsertRow(index.build_row(nothing))
    counts = None
    with suppress(UnreadableRow):
        counts = index.parse_row(row).item
    if counts is None or counts.closed is None:  # written anyway, so that a comparison detects it
        return ReplaceRow(row)
    fewer = add_closed_jobs(counts.closed, map(get_count_key, reopened), times=-1)
    return ReplaceRow(index.build_row(replace(counts, closed=fewer), row.etag))


def build_empty_counts(environment_id: str) -> IndexRow:
    """Return the row that counts an environment's closed jobs, with none counted."""
    return IndexRow(environment_id=environment_id, closed={})
