"""The three kinds of durable job."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.job import FlowJob, JobState
from shared.domain.plans.remediation import EnvironmentJob, EnvironmentJobState
from shared.jobs.engine import Kind
from shared.services import ENVIRONMENT_JOBS, FLOW_JOBS, Services

#: Longer than a function may run (host.json). A discovery takes minutes: with a shorter lease each
#: delivery would take it over from the one before, and none would ever end. Nor may a delivery that
#: was given up write items of a plan which is shown, or approved, by then.
DISCOVERY_LEASE = timedelta(minutes=11)
#: States in which a delivery reads the whole environment, and writes items of the plan.
READING = frozenset(
    {
        EnvironmentJobState.DISCOVERING,
        EnvironmentJobState.PLANNED,
        EnvironmentJobState.APPROVED,
    }
)


def _with_orders(job: FlowJob, fresh: FlowJob) -> FlowJob:
    """Keep an order that is not carried out yet, and the remediation that has taken the job up."""
    is_done = job.state in {JobState.CANCELLED, JobState.ROLLED_BACK}
    return replace(
        job,
        requested=None if is_done else fresh.requested,
        may_replay=fresh.may_replay,
        remediation_id=fresh.remediation_id,
        environment_job_id=fresh.environment_job_id,
    )


def _environment_lease(services: Services, job: EnvironmentJob) -> timedelta:
    return DISCOVERY_LEASE if job.state in READING else services.settings.job_lease


FLOW = Kind(
    title="flow job",
    table=lambda tables: tables.jobs,
    queue=FLOW_JOBS,
    partition="environment",
    is_over=lambda job: job.is_finished and job.requested is None,
    with_what_came=_with_orders,
)
ENVIRONMENT: Kind[EnvironmentJob] = Kind(
    title="environment job",
    table=lambda tables: tables.environment_jobs,
    queue=ENVIRONMENT_JOBS,
    partition="remediation",
    lease=_environment_lease,
)
DELETION: Kind[Deletion] = Kind(
    title="deletion", table=lambda tables: tables.deletions, partition="environment"
)
