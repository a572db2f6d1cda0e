"""Read deletions, and cancel them when their original must be kept."""

from collections.abc import Iterable

from shared.domain.jobs.deletion import Deletion, mark_cancelled
from shared.domain.jobs.flow_job import FlowJob
from shared.jobs.job_kinds import DELETION
from shared.services import Services
from shared.use_cases.read_remediation_rows import RowReader


async def read_deletions(
    services: Services, jobs: Iterable[FlowJob], reading: RowReader | None = None
) -> dict[str, Deletion]:
    """Return the deletions of these jobs, by job id; one query per environment.

    Raises `UnreadableRow` without a `reading`.
    """
    ids, table = {job.id: job.environment_id for job in jobs}, services.tables.deletions
    found = dict[str, Deletion]()
    for environment_id in sorted(set(ids.values())):
        rows = (table.scan if reading else table.query)(environment_id)
        for deletion in await (reading or RowReader()).all(rows):
            if deletion.job_id in ids:
                found[deletion.job_id] = deletion
    return found


async def cancel_if_allowed(services: Services, job: FlowJob, text: str) -> bool:
    """Cancel the scheduled deletion of a job's original; return whether one was cancelled.

    In state `deleting` the request may have been sent, so the deletion is not cancelled here.
    """

    def with_cancellation(deletion: Deletion) -> Deletion | None:
        if not deletion.state_properties.can_be_cancelled:
            return None
        return mark_cancelled(deletion, text, now=services.now)

    place = (job.environment_id, job.id)
    return await DELETION.order(services, place, with_cancellation, takes_over=True) is not None
