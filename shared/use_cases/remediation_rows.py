"""Find a remediation and the rows that belong to it."""

from shared.domain.jobs.job import FlowJob
from shared.domain.plans.remediation import EnvironmentJob, Remediation
from shared.errors import NotFound
from shared.ports import Condition
from shared.services import Services


async def jobs_of(services: Services, remediation_id: str) -> list[FlowJob]:
    """Return the flow jobs of a remediation; raises `NotFound`."""
    remediation = await find(services, remediation_id)
    where = [Condition("remediation", "eq", remediation_id)]
    return [
        job
        for environment_id in remediation.environment_ids
        for job in await services.tables.jobs.all(environment_id, where=where)
    ]


async def find(services: Services, remediation_id: str) -> Remediation:
    """Return a remediation; raises `NotFound`."""
    kept = await services.tables.remediations.get("remediation", remediation_id)
    if kept is None:
        message = f"There is no remediation {remediation_id}."
        raise NotFound(message)
    return kept.item


async def environment_jobs_of(services: Services, remediation_id: str) -> list[EnvironmentJob]:
    """Return the environment jobs of a remediation; raises `NotFound`."""
    await find(services, remediation_id)
    return await services.tables.environment_jobs.all(remediation_id)


def named_jobs(jobs: list[FlowJob], flow_ids: tuple[str, ...]) -> list[FlowJob]:
    """Return the jobs of these flows (none named: all); raises `NotFound` for a missing one."""
    wanted = {flow.lower() for flow in flow_ids}
    if not wanted:
        return jobs
    found = [job for job in jobs if {job.original_id, job.flow_name.lower()} & wanted]
    missing = wanted - {job.original_id for job in found} - {j.flow_name.lower() for j in found}
    if missing:
        message = f"This remediation has no job for {', '.join(sorted(missing))}."
        raise NotFound(message)
    return found
