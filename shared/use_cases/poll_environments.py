"""Notice environments that were linked to a policy: no event tells (contract §10.3)."""

from shared.domain.environment import Environment
from shared.domain.records import LinkRecord, key_of
from shared.ports import OutgoingMessage
from shared.rows import Kept, instant
from shared.services import POLICY_EVENTS, Services
from shared.use_cases.react_to_policy_event import LINKED, STATUS_CHANGED, UNLINKED


async def poll_environments(services: Services) -> int:
    """Publish an event for each environment whose link has changed; returns how many.

    The event goes out before the row is written: after a crash it goes out again, with the same id.
    """
    changed = 0
    for environment in await services.environments.list():
        kept = await services.tables.links.get("link", environment.id)
        if _now(environment) == (_then(kept)):
            continue
        record = _record(services, environment, kept)
        await services.messages.send(_event(record, kept))
        await services.tables.links.upsert(record)
        changed += 1
    return changed


def _now(environment: Environment) -> tuple[str, str]:
    link = environment.policy
    return (link.policy_id.lower(), str(link.status)) if link else ("", "")


def _then(kept: Kept[LinkRecord] | None) -> tuple[str, str]:
    return (kept.item.policy_id, kept.item.status) if kept else ("", "")


def _record(
    services: Services, environment: Environment, kept: Kept[LinkRecord] | None
) -> LinkRecord:
    policy, status = _now(environment)
    same = kept is not None and kept.item.policy_id == policy
    return LinkRecord(
        environment_id=environment.id,
        policy_id=policy,
        status=status,
        observed=kept.item.observed if kept and same else services.now,
    )


def _event(record: LinkRecord, kept: Kept[LinkRecord] | None) -> OutgoingMessage:
    previous_policy, previous = _then(kept)
    if not record.policy_id:
        kind = UNLINKED
    else:
        kind = STATUS_CHANGED if previous_policy == record.policy_id else LINKED
    since = instant(record.observed)
    identity = "/".join(
        (record.environment_id, record.policy_id.rsplit("/", 1)[-1], previous, record.status, since)
    )
    return OutgoingMessage(
        queue=POLICY_EVENTS,
        message_id=f"link/{key_of(identity)}",
        body={
            "specversion": "1.0",
            "id": identity,
            "type": kind,
            "source": "/providers/Microsoft.BusinessAppPlatform/scopes/admin/environments/"
            + record.environment_id,
            "time": since,
            "data": {
                "environmentId": record.environment_id,
                "policyId": record.policy_id,
                "previousLinkStatus": previous,
                "linkStatus": record.status,
                "linkedSince": since,
            },
        },
    )
