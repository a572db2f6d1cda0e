"""Read deletions, and cancel scheduled ones whose original must be kept."""

from collections.abc import Callable, Iterable

from shared.domain.jobs.deletion import Deletion, mark_cancelled
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import UnreadableRow
from shared.jobs.job_kinds import DELETION
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.read_remediation_rows import RowReader


async def read_deletions(
    services: Services, jobs: Iterable[FlowJob], reading: RowReader | None = None
) -> dict[str, Deletion]:
    """Return the deletions of these jobs, by job id.

    Collects unreadable rows in `reading`. Without it, raises `UnreadableRow`.
    """
    ids, table = {job.id: job.environment_id for job in jobs}, services.tables.deletions
    found = dict[str, Deletion]()
    for environment_id in sorted(set(ids.values())):
        rows = (table.scan if reading else table.query)(environment_id)
        for deletion in await (reading or RowReader()).list_readable(rows):
            if deletion.job_id in ids:
                found[deletion.job_id] = deletion
    return found


async def cancel_deletion_if_allowed(services: Services, job: FlowJob, text: str) -> bool:
    """Cancel the scheduled deletion of a job's original, and return whether it was cancelled.

    In the state `deleting` the request may have been sent, so the deletion is not cancelled.
    """

    place, cancel = (job.environment_id, job.id), _build_cancellation(services, text)
    return await DELETION.apply_command(services, place, cancel, takes_over=True) is not None


async def cancel_deletions_if_allowed(
    services: Services, jobs: Iterable[FlowJob], text: str, reading: RowReader
) -> frozenset[str]:
    """Cancel the deletions of these jobs' originals, as `cancel_deletion_if_allowed` does.

    Returns the ids of jobs whose deletion is unreadable.
    """
    ids, unreadable = {job.id: job.environment_id for job in jobs}, set[str]()
    scheduled = list[StoredItem[Deletion]]()
    for environment_id in sorted(set(ids.values())):
        async for row in services.tables.deletions.scan(environment_id):
            if not isinstance(row, UnreadableRow):
                scheduled += [row] if row.item.job_id in ids else []
            elif row.row[2] in ids:
                unreadable.add(row.row[2])
                reading.unreadable.append(row)
    cancel = _build_cancellation(services, text)
    await DELETION.apply_command_to_each(services, scheduled, cancel, takes_over=True)
    return frozenset(unreadable)


def _build_cancellation(services: Services, text: str) -> Callable[[Deletion], Deletion | None]:
    def with_cancellation(deletion: Deletion) -> Deletion | None:
        if not deletion.state_properties.can_be_cancelled:
            return None
        return mark_cancelled(deletion, text, now=services.now)

    return with_cancellation
