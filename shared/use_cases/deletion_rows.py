"""Rows of deletions: found, and cancelled when something else becomes of their original."""

from collections.abc import Iterable

from shared.domain.jobs.deletion import Deletion, cancelled
from shared.domain.jobs.job import FlowJob
from shared.jobs.kinds import DELETION
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

    def ordered(deletion: Deletion) -> Deletion | None:
        if not deletion.facts.can_be_kept:
            return None
        return cancelled(deletion, text, now=services.now)

    place = (job.environment_id, job.id)
    return await DELETION.order(services, place, ordered, takes_over=True) is not None
