"""Open the support request for run history when the platform migration is complete."""

from contextlib import suppress

from shared.alerts import alert_unreadable_row
from shared.domain.environment import Environment
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.support_request import SupportRequest, SupportRequestKind
from shared.domain.policy_link_record import PolicyLinkRecord
from shared.errors import AlreadyExists, Conflict, UnreadableRow
from shared.services import Services


async def open_run_history_request(
    services: Services, environment: Environment, job: EnvironmentJob
) -> None:
    """Store the support request of an environment, unless it is stored for this migration.

    Done only if the app saw the key being applied: otherwise it does not know when the support
    window closes. An unreadable row is reported and does not stop the plan.
    """
    try:
        await _open_run_history_request(services, environment, job)
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)


async def _open_run_history_request(
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

    Another policy changes the key and moves no flow.
    """
    is_same = request.policy_id.lower() == link.policy_id.lower()
    return is_same and link.first_seen_at > request.opened_at
