"""Define the three kinds of durable job."""

from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.replace_fields import replace
from shared.domain.plans.remediation import EnvironmentJob
from shared.jobs.engine import JobKind
from shared.jobs.request_demands import estimate_environment_job_demand, estimate_flow_job_demand
from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS
from shared.reason import ClearedBy, Reason


def _with_outside_changes(job: FlowJob, fresh: FlowJob) -> FlowJob:
    is_rollback_ended = (
        fresh.is_rolling_back and job.has_succeeded and job.requested_command is None
    )
    return replace(
        job,
        requested_command=None
        if job.is_withdrawn or is_rollback_ended
        else fresh.requested_command,
        accepts_replay=fresh.accepts_replay,
        waiting_job_ids=fresh.waiting_job_ids,
    )


def _is_flow_watched(job: FlowJob) -> bool:
    is_waiting = job.reason_code in Reason.list_cleared_by(ClearedBy.DEPENDENT_FLOW)
    return is_waiting or (FLOW.is_ended(job) and job.has_grants_to_check)


def _is_environment_watched(job: EnvironmentJob) -> bool:
    is_dispatched = job.state is EnvironmentJobState.RUNNING_FLOW_JOBS
    return is_dispatched or (job.has_stopped_planning and job.has_grants_to_check)


FLOW: JobKind[FlowJob] = JobKind(
    title="flow job",
    table=lambda tables: tables.flow_jobs,
    queue=FLOW_JOBS,
    partition="environment",
    request_demand=estimate_flow_job_demand,
    is_ended=lambda job: job.is_inactive and job.requested_command is None,
    merge_concurrent=_with_outside_changes,
    is_watched=_is_flow_watched,
    ids=lambda job: {
        "remediation": job.remediation_id,
        "environment": job.environment_id,
        "job": job.id,
        "flow": job.original.id,
    },
)
ENVIRONMENT: JobKind[EnvironmentJob] = JobKind(
    title="environment job",
    table=lambda tables: tables.environment_jobs,
    queue=ENVIRONMENT_JOBS,
    partition="remediation",
    request_demand=estimate_environment_job_demand,
    merge_concurrent=lambda job, fresh: replace(job, url_secret_choices=fresh.url_secret_choices),
    is_watched=_is_environment_watched,
    ids=lambda job: {
        "remediation": job.remediation_id,
        "environment": job.environment_id,
        "job": job.id,
    },
)
DELETION: JobKind[Deletion] = JobKind(
    title="deletion", table=lambda tables: tables.deletions, partition="environment"
)
