"""Notice environments that were linked to a policy: no event tells (platform.md#no-link-event)."""

from dataclasses import replace

from shared.alerts import one_row
from shared.domain.environment import Environment
from shared.domain.ids import hash_key
from shared.domain.policy_link_record import PolicyLinkRecord
from shared.ports import QueueMessage
from shared.queues import POLICY_EVENTS
from shared.rows import sortable_time
from shared.services import Services
from shared.use_cases.react_to_policy_event import LINKED, STATUS_CHANGED, UNLINKED


async def poll_environments(services: Services) -> int:
    """Publish an event for each environment whose link has changed; returns how many.

    The change is written before its event goes out: after a crash the row tells the same event
    again, so that one link never has two ids and never starts two remediations.
    """
    changed = 0
    for environment in await services.environments.list():
        async with one_row(services, ("policylinks", "link", environment.id)):
            changed += await _poll(services, environment)
    return changed


async def _poll(services: Services, environment: Environment) -> int:
    table, changed = services.tables.policy_links, 0
    kept = await table.get("link", environment.id)
    then = kept.item if kept else None
    if then and not then.is_event_sent:
        then = await _tell(services, then)
        changed += 1
    if _now(environment) != ((then.policy_id, then.status) if then else ("", "")):
        record = _changed(services, environment, then)
        await table.upsert(record)
        await _tell(services, record)
        changed += 1
    return changed


def _now(environment: Environment) -> tuple[str, str]:
    link = environment.policy
    return (link.policy_id.lower(), str(link.status)) if link else ("", "")


def _changed(
    services: Services, environment: Environment, then: PolicyLinkRecord | None
) -> PolicyLinkRecord:
    policy, status = _now(environment)
    same = then is not None and then.policy_id == policy
    return PolicyLinkRecord(
        environment_id=environment.id,
        policy_id=policy,
        status=status,
        first_seen_at=then.first_seen_at if then and same else services.now,
        status_changed_at=services.now,
        previous_policy_id=then.policy_id if then else "",
        previous_status=then.status if then else "",
        is_event_sent=False,
    )


async def _tell(services: Services, record: PolicyLinkRecord) -> PolicyLinkRecord:
    await services.messages.send(_event(record))
    told = replace(record, is_event_sent=True)
    await services.tables.policy_links.upsert(told)
    return told


def _event(record: PolicyLinkRecord) -> QueueMessage:
    """Return the event of a change: the same for the same row."""
    if not record.policy_id:
        kind = UNLINKED
    else:
        kind = STATUS_CHANGED if record.previous_policy_id == record.policy_id else LINKED
    since = sortable_time(record.first_seen_at)
    policy = record.policy_id.rsplit("/", 1)[-1]
    at = sortable_time(record.status_changed_at or record.first_seen_at)
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
