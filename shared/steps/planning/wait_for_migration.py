"""Wait until the platform has moved the flows that it moves.

Only then are copies made. The link status `Linked` is not enough: no movable flow may be left
(platform.md#microsoft-key-list).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.alerts import alert_unreadable_row
from shared.domain.environment import MIGRATION_LONGEST, Environment
from shared.domain.environment_records import PolicyLinkRecord
from shared.domain.flow import FlowListEntry
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import move_to_state, stop_with_reason, wait_until
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.domain.plans.support_request import SupportRequest, SupportRequestKind
from shared.errors import AlreadyExists, Conflict, JobBlocked, UnreadableRow
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.planning.discover_flows import read_flows_still_to_move
from shared.steps.planning.plan_environment import read_environment_of_job

#: Most flows that a message names; the admin center lists all.
_MAX_NAMED = 20
_STARTS = {
    RemediationMode.APPLY: "The platform migration is complete.",
    RemediationMode.PREPARE: "No key is applied yet.",
}


async def wait_for_migration(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Return the job, ready for discovery or waiting for the platform migration.

    Raises `JobBlocked` if an environment to prepare has a policy already, or one to migrate has
    none. Returns a blocked job if the platform migration takes too long.
    """
    services, job = held.services, held.job
    environment = await read_environment_of_job(services, job)
    link = environment.policy
    job = replace(
        job,
        environment_name=environment.display_name,
        policy_id=link.policy_id.lower() if link else "",
    )
    if job.mode is RemediationMode.PREPARE and link is not None:
        raise JobBlocked(
            f"{environment.display_name} is linked to an encryption policy already, so its flows "
            "cannot be prepared.",
            fix="Start a remediation in mode apply, which copies the flows that stay.",
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
                f"The policy's status is {link.status}.",
                until=until,
                now=services.now,
                code=Reason.PLATFORM_MIGRATION_RUNNING,
            )
        left = await read_flows_still_to_move(
            services,
            environment.id,
            held.open_rows(services.tables.discovery_pages),
            all_of_them=_is_migration_late(services, job),
            advanced=held.record_progress,
        )
        if left:
            return _wait_or_block(services, job, left)
        await open_run_history_request(services, environment, job)
        job = replace(job, platform_migration_seen_at=None)
    text = _STARTS.get(job.mode, "Read only.")
    return move_to_state(job, EnvironmentJobState.DISCOVERING, text, now=services.now)


def _wait_or_block(
    services: Services, job: EnvironmentJob, left: Sequence[FlowListEntry]
) -> EnvironmentJob:
    if not _is_migration_late(services, job):
        text = "The platform is moving the environment's flows to the key."
        until = services.now + services.settings.platform_migration_poll_interval
        job = replace(
            job, platform_migration_seen_at=job.platform_migration_seen_at or services.now
        )
        return wait_until(
            job, text, until=until, now=services.now, code=Reason.PLATFORM_MIGRATION_RUNNING
        )
    names = ", ".join(f"{flow.display_name} ({flow.flow_name})" for flow in left[:_MAX_NAMED])
    more = f" and {len(left) - _MAX_NAMED} more" if len(left) > _MAX_NAMED else ""
    return stop_with_reason(
        replace(job, platform_migration_seen_at=None),  # a retry waits again
        EnvironmentJobState.BLOCKED,
        f"The platform has not moved these flows to the key for {MIGRATION_LONGEST.days} days: "
        f"{names}{more}.",
        "Open a support ticket with Microsoft to have them moved, then retry. To continue with the "
        "other flows in the meantime, exclude these in the environment's settings, then retry.",
        code=Reason.PLATFORM_MIGRATION_STALLED,
        now=services.now,
    )


def _is_migration_late(services: Services, job: EnvironmentJob) -> bool:
    since = job.platform_migration_seen_at or services.now
    return services.now - since >= MIGRATION_LONGEST


async def open_run_history_request(
    services: Services, environment: Environment, job: EnvironmentJob
) -> None:
    """Store the support request of an environment, unless it is stored for this migration.

    It is stored only if the app saw the key being applied: otherwise the app does not know when the
    support window closes. An unreadable row is reported and does not stop the plan.
    """
    try:
        await _store_run_history_request(services, environment, job)
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)


async def _store_run_history_request(
    services: Services, environment: Environment, job: EnvironmentJob
) -> None:
    kept = await services.tables.policy_links.get("link", environment.id)
    link = kept.item if kept else None
    if not job.platform_migration_seen_at and not (link and link.previous_status):
        return
    request = SupportRequest(
        kind=SupportRequestKind.RUN_HISTORY,
        environment_id=environment.id,
        environment_name=environment.display_name,
        geography=environment.geography,
        region=environment.region,
        policy_id=environment.policy.policy_id if environment.policy else "",
        key_applied_at=link.first_seen_at if link else None,
        migrated_at=services.now,
        opened_at=services.now,
    )
    table = services.tables.support_requests
    with suppress(AlreadyExists, Conflict):
        known = await table.get(*table.get_address(request))
        if known is None:
            await table.insert(request)
        elif link and _was_linked_again(known.item, link):
            await table.replace(known, request)


def _was_linked_again(request: SupportRequest, link: PolicyLinkRecord) -> bool:
    """Return whether the same policy was removed after the request and applied again.

    Applying another policy changes the key and moves no flow.
    """
    is_same = request.policy_id.lower() == link.policy_id.lower()
    return is_same and link.first_seen_at > request.opened_at
