"""Wait until the platform has moved what moves by itself; only then copies may be made.

`Linked` is not the end: no flow may be left that has yet to move (platform.md#microsoft-key-list).
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.environment import MIGRATION_LONGEST
from shared.domain.flow import FlowListEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import move_to_state, stop_with_reason, wait_until
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.errors import JobBlocked
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.planning.discover_flows import still_to_move
from shared.steps.planning.plan_environment import environment_of

#: A reason names so many flows; the admin center's list has all of them.
_NAMED = 20
_STARTS = {
    RemediationMode.APPLY: "The migration is over.",
    RemediationMode.PREPARE: "No key is applied yet.",
}


async def wait_for_migration(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Return the job to be discovered, or to be looked at again; raises `JobBlocked`."""
    services, job = held.services, held.job
    environment = await environment_of(services, job)
    link = environment.policy
    job = replace(
        job,
        environment_name=environment.display_name,
        policy_id=link.policy_id.lower() if link else "",
    )
    if job.mode is RemediationMode.PREPARE and link is not None:
        raise JobBlocked(
            f"{environment.display_name} is linked to an encryption policy: it is too late to "
            "prepare it.",
            instruction="Start a remediation in mode apply: what stays is copied.",
            code=Reason.KEY_ALREADY_APPLIED,
        )
    if job.mode is RemediationMode.APPLY:
        if link is None:
            raise JobBlocked(
                f"{environment.display_name} is not linked to an encryption policy.",
                code=Reason.KEY_NOT_APPLIED,
            )
        until = services.now + services.settings.platform_migration_poll_interval
        if not environment.is_linked:
            return wait_until(
                job,
                f"The policy is {link.status}.",
                until=until,
                now=services.now,
                code=Reason.PLATFORM_MIGRATION_RUNNING,
            )
        left = await still_to_move(
            services,
            environment.id,
            held.rows(services.tables.discovery_pages),
            all_of_them=_is_late(services, job),
            advanced=held.record_progress,
        )
        if left:
            return _migrating(services, job, left)
        job = replace(job, platform_migration_seen_at=None)
    text = _STARTS.get(job.mode, "Read only.")
    return move_to_state(job, EnvironmentJobState.DISCOVERING, text, now=services.now)


def _migrating(
    services: Services, job: EnvironmentJob, left: Sequence[FlowListEntry]
) -> EnvironmentJob:
    """Wait as long as a migration may take, then say which flows it has not moved."""
    if not _is_late(services, job):
        text = "The environment's flows are still being moved under the key."
        until = services.now + services.settings.platform_migration_poll_interval
        job = replace(
            job, platform_migration_seen_at=job.platform_migration_seen_at or services.now
        )
        return wait_until(
            job, text, until=until, now=services.now, code=Reason.PLATFORM_MIGRATION_RUNNING
        )
    names = ", ".join(f"{flow.display_name} ({flow.flow_name})" for flow in left[:_NAMED])
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return stop_with_reason(
        replace(job, platform_migration_seen_at=None),  # a retry waits anew
        EnvironmentJobState.BLOCKED,
        f"Flows that move under the key by themselves have not for {MIGRATION_LONGEST.days} days: "
        f"{names}{more}.",
        "Ask Microsoft's support, in a ticket, to move them, then retry. To go on with the other "
        "flows meanwhile, exclude these in the environment's settings, then retry.",
        code=Reason.PLATFORM_MIGRATION_STALLED,
        now=services.now,
    )


def _is_late(services: Services, job: EnvironmentJob) -> bool:
    """Return whether the migration takes longer than it may."""
    since = job.platform_migration_seen_at or services.now
    return services.now - since >= MIGRATION_LONGEST
