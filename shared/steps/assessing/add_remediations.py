"""Add to assessed flows what a remediation has already done with them."""

from collections.abc import Sequence

from shared.alerts import alert_unreadable_row, read_readable
from shared.domain.assessment.assessment import AssessedFlow
from shared.domain.assessment.remediated_flows import add_flow_job
from shared.domain.assessment.snapshots import EnvironmentSnapshot
from shared.domain.jobs.deletion_states import DeletionState
from shared.errors import UnreadableRow
from shared.services import Services
from shared.steps.flows.read_flow_jobs import read_flow_jobs

_NOT_SCHEDULED = {DeletionState.CANCELLED, DeletionState.DELETED}


async def add_remediations(
    services: Services, facts: EnvironmentSnapshot, flows: Sequence[AssessedFlow]
) -> list[AssessedFlow]:
    """Return the flows with the status of their flow jobs, which are read by two queries.

    A flow with an unreadable job has an unknown status.
    """
    environment = facts.environment
    rows = read_readable(services, services.tables.deletions.scan(environment.id))
    scheduled = {kept.item.job_id async for kept in rows if kept.item.state not in _NOT_SCHEDULED}
    found = {flow.workflow_id: add_flow_job(facts, flow, None) for flow in flows}
    listed = {flow.workflow_id: flow for flow in flows}
    policy = environment.policy.policy_id if environment.policy else ""
    async for identity, job in read_flow_jobs(services, environment.id, policy, listed):
        flow = listed[identity]
        if isinstance(job, UnreadableRow):
            await alert_unreadable_row(services, job)
            found[identity] = flow
        else:
            found[identity] = add_flow_job(
                facts, flow, job, is_deletion_scheduled=job.id in scheduled
            )
    return [found[flow.workflow_id] for flow in flows]
