"""Open the firewalls that keep a copy out, where its plan says so and was approved with it."""

from collections.abc import Sequence

from shared.domain.network.firewall_issue import FirewallIssue
from shared.steps.flows.firewall_fixes import FixAuthorization, apply_fix
from shared.steps.step_context import StepContext


async def apply_planned_fixes(work: StepContext, gaps: Sequence[FirewallIssue]) -> bool:
    """Make the repairs that the plan shows for these gaps; says whether there were any.

    What somebody opts in later is not done: it was not shown. Raises as `apply_fix`.
    """
    job, services = work.job, work.services
    kept = await services.tables.environment_jobs.get(job.remediation_id, job.environment_job_id)
    plan = kept.item if kept else None
    shown = {finding.name for finding in plan.network if finding.repair} if plan else set()
    meant = [gap for gap in gaps if gap.name in shown]
    order = FixAuthorization(
        by=(plan and plan.approved_by) or "mode automatic",
        environment_ids=(job.environment_id,),
        holder=work,
        permit=work.check_write_allowed,
    )
    for gap in meant:
        await apply_fix(services, gap, order)
    return bool(meant)
