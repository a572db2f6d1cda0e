"""Rows of deletions: found, and cancelled when something else becomes of their original."""

from collections.abc import Iterable

from shared.domain.jobs.deletion import Deletion, DeletionState, cancelled
from shared.domain.jobs.job import FlowJob
from shared.errors import Conflict
from shared.services import Services


async def deletions_of(services: Services, jobs: Iterable[FlowJob]) -> dict[str, Deletion]:
    """Return the deletions of these jobs, by job: one query for each environment."""
    ids = {job.id: job.environment_id for job in jobs}
    return {
        deletion.job_id: deletion
        for environment_id in sorted(set(ids.values()))
        for deletion in await services.tables.deletions.all(environment_id)
        if deletion.job_id in ids
    }


async def cancel_deletion(services: Services, job: FlowJob, text: str) -> bool:
    """Cancel the deletion of a job's original if it stands; says whether one was cancelled.

    One whose call may have been made already (`deleting`) is left to find out.
    """
    table = services.tables.deletions
    while kept := await table.get(job.environment_id, job.id):
        stands = {DeletionState.SCHEDULED, DeletionState.ARCHIVING, DeletionState.BLOCKED}
        if kept.item.state not in stands:
            return False
        try:
            await table.replace(kept, cancelled(kept.item, text, now=services.now))
        except Conflict:
            continue
        return True
    return False
