"""A flow job with default values. Tests replace what they need."""

from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_pair import Copy, Original

FLOW_JOB = FlowJob(
    id="job",
    environment_id="environment",
    policy_id="policy",
    remediation_id="remediation",
    environment_job_id="environment-job",
    original=Original(
        id="original",
        flow_name="flow",
        category="http",
        trigger_name="manual",
        has_trigger_url=True,
        in_solution=True,
        digest="digest",
    ),
    display_name="Orders",
    migration_method=MigrationMethod.UPDATE_CALLERS,
    copy=Copy(id="copy"),
)
