"""Find flows that a plan is about to copy, because they must not be changed before that."""

from collections import defaultdict
from dataclasses import dataclass

from shared.alerts import read_readable
from shared.domain.callers.caller import Caller
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.errors import MustWait
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.step_context import StepContext

#: The column `next_check_at` of a job that only a person continues has a value that sorts after
#: this.
_NEVER = "~"


@dataclass(frozen=True, slots=True)
class PlansInProgress:
    """The environment jobs that apply a plan and have yet to create some of its flow jobs."""

    services: Services
    by_environment: dict[str, list[EnvironmentJob]]

    async def require_not_copied(self, caller: Caller) -> None:
        """Raise `MustWait` while a plan in progress may still copy this caller."""
        if not caller.workflow_id or not caller.environment_id:
            return
        for job in self.by_environment.get(caller.environment_id, []):
            is_being_made = job.state is EnvironmentJobState.DISCOVERING
            kept = await self.services.tables.plan_items.get(job.id, caller.workflow_id)
            if is_being_made or (kept and _has_no_job_yet(job, kept.item)):
                until = self.services.now + self.services.settings.wait_poll_interval
                raise MustWait(
                    f"A plan of its environment is about to copy the {caller.label}.",
                    until=until,
                    code=Reason.WAITING_FOR_OTHER_PLAN,
                )


def _has_no_job_yet(job: EnvironmentJob, item: PlanItem) -> bool:
    return item.awaits_approval if job.has_started_flow_jobs else item.action.is_work


async def read_plans_in_progress(services: Services) -> PlansInProgress:
    """Return the plans whose flow jobs are still to be created."""
    found: defaultdict[str, list[EnvironmentJob]] = defaultdict(list)
    where = [Condition("next_check_at", "lt", _NEVER)]
    async for kept in read_readable(services, services.tables.environment_jobs.scan(where=where)):
        job = kept.item
        is_to_come = job.state is not EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION
        has_begun = job.has_started_flow_jobs and job.state is not EnvironmentJobState.APPROVED
        if (
            job.mode is RemediationMode.APPLY
            and is_to_come
            and (not has_begun or job.awaits_approval)
        ):
            found[job.environment_id].append(job)
    return PlansInProgress(services, dict(found))


async def was_plan_cancelled(work: StepContext) -> bool:
    """Return whether the plan of a flow job was cancelled before its flow jobs were created.

    Raises `MustWait` while they are being created.
    """
    job, table = work.job, work.services.tables.environment_jobs
    kept = await table.get(job.remediation_id, job.environment_job_id)
    if kept is None or kept.item.has_started_flow_jobs:
        return False
    if kept.item.state is EnvironmentJobState.CANCELLED:
        return True
    until = work.services.now + work.services.settings.backoff_initial_delay
    raise MustWait(
        "The other flow jobs of the plan are being created.",
        until=until,
        code=Reason.WAITING_FOR_OTHER_PLAN,
    )
