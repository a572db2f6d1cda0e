"""Run one step of an environment job."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from shared.alerts import send_alert
from shared.domain.environment import ApprovalPolicy
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import move_to_state
from shared.domain.plans.not_migrated import count_flows_not_included, describe_retired_originals
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.row_limits import select_fitting_findings, with_firewall_issues
from shared.jobs.job_kinds import ENVIRONMENT
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.discovery_pages import remove_all_pages_but_flows
from shared.steps.planning.complete_plan import FlowRunLookups, read_completed_items
from shared.steps.planning.make_plan import find_firewall_issues
from shared.steps.planning.plan_environment import plan_now, read_environment_of_job
from shared.steps.planning.trigger_urls import (
    MOST_LOOKS,
    find_unmatched_callers,
    read_trigger_url_index,
)
from shared.steps.planning.wait_for_migration import wait_for_migration
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.apply_plan import (
    cancel_expired_plan,
    compare_with_approval,
    describe_flows_migrated_elsewhere,
    mark_awaiting_approval,
    start_and_watch_flow_jobs,
)
from shared.use_cases.start_assessment import continue_assessment

type Step = Callable[[LeasedJob[EnvironmentJob]], Awaitable[EnvironmentJob]]


async def run_environment_job_step(services: Services, remediation_id: str, job_id: str) -> str:
    """Run the step that is due, and return the job's state, for the log.

    Raises `NotFound` if there is no such row. Other exceptions are internal errors.
    """
    _, after = await ENVIRONMENT.run_due_step(services, (remediation_id, job_id), _run_step)
    return after.state


async def _run_step(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    return await STEPS[leased.job.state](leased)


async def _discover_and_plan_flows(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    services = leased.services
    items, findings = await plan_now(leased, await read_environment_of_job(services, leased.job))
    stay = len(items)
    for item in items:
        if item.is_retired and item.is_on:
            await _alert_reactivated_original(leased, item)
    if not leased.job.flow_ids:  # a request that names flows gets a plan item for each of them
        items = [item for item in items if item.is_on or not item.is_retired]
        findings = (*findings, *describe_retired_originals(stay - len(items)))
    plan, still = leased.open_rows(services.tables.plan_items), {item.workflow_id for item in items}
    await plan.delete(*[item for item in await plan.read_all() if item.workflow_id not in still])
    await plan.upsert(*items)
    job = replace(
        leased.job,  # the current row, which records grants of this step
        findings=select_fitting_findings(findings),
        planned_action_counts=dict(Counter(str(item.action) for item in items)),
    )
    text = f"{'1 flow is' if stay == 1 else f'{stay:,} flows are'} on Microsoft's key."
    return move_to_state(job, EnvironmentJobState.PLANNED, text, now=services.now)


async def _alert_reactivated_original(leased: LeasedJob[EnvironmentJob], item: PlanItem) -> None:
    """Send an alert about a retired original that is on again.

    The daily check may not reach the original.
    """
    job, table = leased.job, leased.services.tables.flow_jobs
    identity = derive_flow_job_id(job.environment_id, item.workflow_id, job.policy_id)
    text = f"{item.display_name} was retired and is on again."
    row = (table.name, job.environment_id, identity)
    await send_alert(leased.services, Reason.RETIRED_ORIGINAL_ON, row, text)


async def _complete_plan(leased: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    services, job, plan = (
        leased.services,
        leased.job,
        leased.open_rows(leased.services.tables.plan_items),
    )
    environment = await read_environment_of_job(services, job)

    async def store_items(items: Sequence[PlanItem]) -> None:
        await plan.upsert(*items)
        await leased.record_progress()

    planned = await plan.read_all()
    urls = await read_trigger_url_index(services, job, planned)
    flows = urls.list_flows_to_read(planned, MOST_LOOKS if job.mode.writes else None)
    items = await read_completed_items(
        services, environment, planned, FlowRunLookups(urls=urls, flows=flows), store_items
    )
    unmatched = await find_unmatched_callers(services, urls, items)
    findings = select_fitting_findings((*job.findings, *unmatched))
    job = replace(job, findings=findings, unmatched_trigger_urls=urls.unmatched_ids_to_store)
    job = with_firewall_issues(job, *await find_firewall_issues(services, environment, items))
    job = replace(
        job,
        not_migrated=count_flows_not_included(job.mode, items),
        planned_at=services.now,
        approval_expires_at=services.now + services.settings.approval_period,
    )
    job = await _move_to_next_state(services, job, items)
    rows = leased.open_rows(services.tables.discovery_pages)
    await (remove_all_pages_but_flows(rows) if job.awaits_approval else rows.clear())
    return job


async def _move_to_next_state(
    services: Services, job: EnvironmentJob, items: Sequence[PlanItem]
) -> EnvironmentJob:
    work = [item for item in items if item.action.is_work]
    if not job.mode.writes:
        text = "The plan is complete. Nothing was changed."
        return move_to_state(job, EnvironmentJobState.COMPLETED, text, now=services.now)
    if not work:
        text = f"No flow needs a new change.{describe_flows_migrated_elsewhere(job)}"
        return move_to_state(job, EnvironmentJobState.COMPLETED, text, now=services.now)
    mode = (await read_environment_settings(services, job.environment_id)).approval_policy
    if mode is ApprovalPolicy.AUTOMATIC:
        text = "The environment has approval policy automatic, so no approval is needed."
        job = replace(job, approved_by="approval policy automatic")
        return move_to_state(job, EnvironmentJobState.RUNNING_FLOW_JOBS, text, now=services.now)
    return mark_awaiting_approval(services, replace(job, awaiting_approval_count=len(work)))


STEPS: dict[EnvironmentJobState, Step] = {
    EnvironmentJobState.ASSESSING: continue_assessment,
    EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION: wait_for_migration,
    EnvironmentJobState.DISCOVERING: _discover_and_plan_flows,
    EnvironmentJobState.PLANNED: _complete_plan,
    EnvironmentJobState.AWAITING_APPROVAL: cancel_expired_plan,
    EnvironmentJobState.APPROVED: compare_with_approval,
    EnvironmentJobState.RUNNING_FLOW_JOBS: start_and_watch_flow_jobs,
}
