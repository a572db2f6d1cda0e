"""A row of a flow job with default values, of which a test changes what it needs."""

from shared.domain.jobs.flow_job import FlowJob, MigrationMethod

FLOW_JOB = FlowJob(
    id="job",
    environment_id="environment",
    policy_id="policy",
    remediation_id="remediation",
    environment_job_id="environment-job",
    original_id="original",
    flow_name="flow",
    display_name="Orders",
    category="http",
    trigger_name="manual",
    has_trigger_url=True,
    in_solution=True,
    migration_method=MigrationMethod.UPDATE_CALLERS,
    original_digest="digest",
    copy_id="copy",
)
