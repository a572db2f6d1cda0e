"""React to a key event (rotated, expires soon, expired).

The key is checked, and a remediation starts for flows that are still on Microsoft's key. After a
rotation, both are repeated a day later, because services take up to 24 hours to use the new version
(platform.md#key-rotation).
"""

from shared.domain.environment import Environment
from shared.domain.events import Event
from shared.domain.ids import hash_key
from shared.domain.keys.key import EnterprisePolicy
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.logs.fields import get_product_log
from shared.ports import QueueMessage
from shared.queues import KEY_EVENTS
from shared.services import Services
from shared.use_cases.check_keys import record_key_checks_of_event, uses_key
from shared.use_cases.start_remediation import start_remediation

log = get_product_log(__name__)

NEW_VERSION = "Microsoft.KeyVault.KeyNewVersionCreated"
KEY_EVENT_TYPES = frozenset(
    {NEW_VERSION, "Microsoft.KeyVault.KeyNearExpiry", "Microsoft.KeyVault.KeyExpired"}
)
#: The app's own event type: check the same key again.
RECHECK = "PowerPlatformCmk.KeyRecheckDue"


async def react_to_key_event(services: Services, event: Event) -> str:
    """Check the key and start remediations of its environments.

    Returns a summary for the log.
    """
    if event.type not in {*KEY_EVENT_TYPES, RECHECK}:
        return _log_ignored_event(event, f"the app does not handle the type {event.type}")
    vault, key = event.get_text("VaultName").lower(), event.get_text("ObjectName").lower()
    watched = [
        policy for policy in await services.keys.read_policies() if uses_key(policy, vault, key)
    ]
    if not watched:
        return _log_ignored_event(event, f"no watched policy uses key {key} of vault {vault}")
    environments = await services.environments.list()
    linked = [
        env
        for env in environments
        if env.is_linked and any(_has_policy(env, one) for one in watched)
    ]
    if linked:
        await start_remediation(
            services,
            Remediation(
                created_at=services.now,
                mode=RemediationMode.APPLY,
                start_source=StartSource.KEY_EVENT,
                idempotency_key=event.id,
                environment_ids=tuple(sorted(env.id for env in linked)),
            ),
        )
    if event.type == NEW_VERSION:
        await _schedule_recheck(services, event)
    # Last, because a key that cannot be read must stop neither.
    await record_key_checks_of_event(services, watched, environments)
    return f"checked {len(watched)} policies and {len(linked)} environments"


async def _schedule_recheck(services: Services, event: Event) -> None:
    due = services.now + services.settings.key_recheck_delay
    identity = f"recheck/{hash_key(event.id)}"
    await services.messages.send(
        QueueMessage(
            queue=KEY_EVENTS,
            message_id=identity,
            body={
                "specversion": "1.0",
                "id": identity,
                "type": RECHECK,
                "source": event.source,
                "subject": event.subject,
                "data": {
                    "VaultName": event.get_text("VaultName"),
                    "ObjectName": event.get_text("ObjectName"),
                },
            },
            due=due,
        )
    )
    log.info("key %s is checked again at %s", event.get_text("ObjectName"), due)


def _has_policy(environment: Environment, policy: EnterprisePolicy) -> bool:
    link = environment.policy
    return link is not None and link.policy_id.lower() == policy.id.lower()


def _log_ignored_event(event: Event, why: str) -> str:
    log.info("event ignored", extra={"event": event.id, "text": why})
    return f"ignored: {why}"
