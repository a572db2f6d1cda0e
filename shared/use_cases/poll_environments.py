"""Detect changes of environments' policy links, for which there is no event.

See platform.md#no-link-event.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.alerts import catch_row_errors
from shared.domain.environment import Environment
from shared.domain.environment_records import PolicyLinkRecord
from shared.domain.ids import hash_key
from shared.errors import CmkflowError
from shared.logs.fields import get_product_log
from shared.ports import QueueMessage
from shared.queues import POLICY_EVENTS
from shared.services import Services
from shared.state.rows import format_sortable_time
from shared.use_cases.check_keys import has_key_problem, record_key_checks
from shared.use_cases.react_to_policy_event import LINKED, STATUS_CHANGED, UNLINKED

log = get_product_log(__name__)


async def poll_environments(services: Services) -> int:
    """Send an event for each environment whose policy link has changed.

    Returns how many were sent. A change is stored before its event is sent. After a crash the same
    event is sent again, so that one link has one id and starts one remediation.
    """
    changed, environments = 0, await services.environments.list()
    for environment in environments:
        async with catch_row_errors(services, ("policylinks", "link", environment.id)):
            changed += await _poll_environment(services, environment)
    await _check_keys_if_any_is_lost(services, environments)
    return changed


async def _check_keys_if_any_is_lost(
    services: Services, environments: Sequence[Environment]
) -> None:
    """Check all keys if a key may be lost.

    No event reports that a key was disabled, deleted or restored (platform.md#key-events).
    """
    is_lost = any(one.is_linked and not one.is_enabled for one in environments)
    if not is_lost and not await has_key_problem(services):
        return
    try:
        await record_key_checks(services, environments)
    except CmkflowError as err:  # the check has recorded it; the next poll checks again
        log.warning("keys not checked", extra={"text": err})


async def _poll_environment(services: Services, environment: Environment) -> int:
    table, changed = services.tables.policy_links, 0
    kept = await table.get("link", environment.id)
    previous = kept.item if kept else None
    if previous and not previous.is_event_sent:
        previous = await _send_link_event(services, previous)
        changed += 1
    if _get_current_link(environment) != (
        (previous.policy_id, previous.status) if previous else ("", "")
    ):
        record = _with_current_link(services, environment, previous)
        await table.upsert(record)
        await _send_link_event(services, record)
        changed += 1
    elif previous and previous != (seen := _with_current_facts(services, environment, previous)):
        await table.upsert(seen)
    return changed


def _with_current_facts(
    services: Services, environment: Environment, previous: PolicyLinkRecord
) -> PolicyLinkRecord:
    return replace(
        previous,
        environment_name=environment.display_name,
        last_disabled_at=previous.last_disabled_at if environment.is_enabled else services.now,
    )


def _get_current_link(environment: Environment) -> tuple[str, str]:
    link = environment.policy
    return (link.policy_id.lower(), str(link.status)) if link else ("", "")


def _with_current_link(
    services: Services, environment: Environment, previous: PolicyLinkRecord | None
) -> PolicyLinkRecord:
    policy, status = _get_current_link(environment)
    same = previous is not None and previous.policy_id == policy
    return PolicyLinkRecord(
        environment_id=environment.id,
        environment_name=environment.display_name,
        policy_id=policy,
        status=status,
        first_seen_at=previous.first_seen_at if previous and same else services.now,
        status_changed_at=services.now,
        previous_policy_id=previous.policy_id if previous else "",
        previous_status=previous.status if previous else "",
        is_event_sent=False,
    )


async def _send_link_event(services: Services, record: PolicyLinkRecord) -> PolicyLinkRecord:
    await services.messages.send(_build_link_event(record))
    published = replace(record, is_event_sent=True)
    await services.tables.policy_links.upsert(published)
    return published


def _build_link_event(record: PolicyLinkRecord) -> QueueMessage:
    """Return the event of a change of a policy link. The same row gives the same event."""
    if not record.policy_id:
        kind = UNLINKED
    else:
        kind = STATUS_CHANGED if record.previous_policy_id == record.policy_id else LINKED
    since = format_sortable_time(record.first_seen_at)
    policy = record.policy_id.rsplit("/", 1)[-1]
    at = format_sortable_time(record.status_changed_at or record.first_seen_at)
    change = (record.previous_status, record.status, at)
    identity = "/".join((record.environment_id, policy, *change))
    return QueueMessage(
        queue=POLICY_EVENTS,
        message_id=f"link/{hash_key(identity)}",
        body={
            "specversion": "1.0",
            "id": identity,
            "type": kind,
            "source": "/providers/Microsoft.BusinessAppPlatform/scopes/admin/environments/"
            + record.environment_id,
            "time": at,
            "data": {
                "environmentId": record.environment_id,
                "policyId": record.policy_id,
                "previousLinkStatus": record.previous_status,
                "linkStatus": record.status,
                "linkedSince": since,
            },
        },
    )
