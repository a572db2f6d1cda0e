"""Read the flow jobs of some flows of an environment."""

from collections.abc import AsyncIterator, Iterable

from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import UnreadableRow
from shared.services import Services


async def read_flow_jobs(
    services: Services, environment_id: str, policy_id: str, workflow_ids: Iterable[str]
) -> AsyncIterator[tuple[str, FlowJob | UnreadableRow]]:
    """Yield the workflow id and the job of each of these flows that has a job.

    Only jobs under this policy count. Uses one query for all.
    """
    wanted = {derive_flow_job_id(environment_id, one, policy_id): one for one in workflow_ids}
    async for row in services.tables.flow_jobs.scan(environment_id):
        identity = row.row[2] if isinstance(row, UnreadableRow) else row.item.id
        if identity in wanted:
            yield wanted[identity], row if isinstance(row, UnreadableRow) else row.item
