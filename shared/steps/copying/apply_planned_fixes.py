"""Change the firewalls that deny a copy, as shown in its approved plan."""

from collections.abc import Sequence

from shared.domain.network.firewall_issue import FirewallIssue
from shared.steps.flows.firewall_fixes import FixAuthorization, apply_firewall_fix
from shared.steps.step_context import StepContext


async def apply_planned_fixes(work: StepContext, issues: Sequence[FirewallIssue]) -> bool:
    """Apply the fixes that the plan shows for these issues; return whether there were any.

    Fixes that were allowed after the approval are not applied, because the plan did not show them.
    Raises the errors of `apply_fix`.
    """
    job, services = work.job, work.services
    kept = await services.tables.environment_jobs.get(job.remediation_id, job.environment_job_id)
    plan = kept.item if kept else None
    shown = (
        {finding.name for finding in plan.firewall_issues if finding.fix_by_app} if plan else set()
    )
    planned = [issue for issue in issues if issue.name in shown]
    authorization = FixAuthorization(
        requested_by=(plan and plan.approved_by) or "approval policy automatic",
        environment_ids=(job.environment_id,),
        holder=work,
        permit=work.check_write_allowed,
    )
    for issue in planned:
        await apply_firewall_fix(services, issue, authorization)
    return bool(planned)
