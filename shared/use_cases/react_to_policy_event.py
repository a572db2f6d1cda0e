"""React to events about enterprise policies, policy links and key vaults.

Vault events include changes of role assignments, which may remove the policy's access to its key,
and so lock environments.
"""

import re

from shared.domain.environment import PolicyLinkStatus
from shared.domain.events import Event, UnreadableEvent
from shared.domain.ids import is_identifier, normalize_environment_id
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.logs.fields import get_product_log
from shared.services import Services
from shared.use_cases.check_keys import (
    alert_unwatched_policy,
    record_key_check_of_new_link,
    record_key_checks_of_event,
)
from shared.use_cases.start_remediation import start_remediation

log = get_product_log(__name__)

#: The app's own events, because linking an environment raises none (platform.md#no-link-event).
LINKED = "PowerPlatformCmk.EnvironmentPolicyLinked"
STATUS_CHANGED = "PowerPlatformCmk.LinkStatusChanged"
UNLINKED = "PowerPlatformCmk.EnvironmentPolicyUnlinked"

POLICY_TYPE = "/providers/microsoft.powerplatform/enterprisepolicies/"
#: A vault or a resource below it; a role assignment may remove a policy's access to its key.
VAULT = re.compile(r".*/providers/microsoft\.keyvault/vaults/[^/]+")
RESOURCE_EVENTS = frozenset(
    {"Microsoft.Resources.ResourceWriteSuccess", "Microsoft.Resources.ResourceDeleteSuccess"}
)


async def react_to_policy_event(services: Services, event: Event) -> str:
    """Start a remediation or check keys, as the event requires.

    Returns a summary for the log.
    """
    match event.type:
        case _ if event.type in {LINKED, STATUS_CHANGED, UNLINKED}:
            return await _handle_environment_change(services, event)
        case _ if event.type in RESOURCE_EVENTS:
            return await _handle_policy_change(services, event)
    return _log_ignored_event(event, f"the app does not handle the type {event.type}")


async def _handle_environment_change(services: Services, event: Event) -> str:
    environment_id, status = _parse_environment_id(event), event.get_text("linkStatus")
    if event.type == UNLINKED:
        # Its jobs check the link before each step.
        log.warning("policy unlinked, jobs wait", extra={"environment": environment_id})
        return "its jobs wait"
    if status not in {
        PolicyLinkStatus.LINKED,
        PolicyLinkStatus.LINKING,
        PolicyLinkStatus.LINKING_ONLINE,
    }:
        return _log_ignored_event(event, f"the link of environment {environment_id} is {status}")
    await services.environments.get(environment_id)  # raises for an unknown environment
    await start_remediation(
        services,
        Remediation(
            created_at=services.now,
            mode=RemediationMode.APPLY,
            start_source=StartSource.POLICY_EVENT,
            idempotency_key=_build_link_idempotency_key(event, environment_id),
            environment_ids=(environment_id,),
        ),
    )
    if policy_id := event.get_text("policyId").lower():
        await record_key_check_of_new_link(services, policy_id)
    return "a remediation was started"


def _parse_environment_id(event: Event) -> str:
    text = event.get_text("environmentId")
    if not is_identifier(text):
        message = "The member `environmentId` of the event data is missing or not a valid id."
        raise UnreadableEvent(message)
    return normalize_environment_id(text)


def _build_link_idempotency_key(event: Event, environment_id: str) -> str:
    """Return an idempotency key that is the same for all status changes of one policy link."""
    return f"{environment_id}/{event.get_text('policyId')}/{event.get_text('linkedSince')}"


async def _handle_policy_change(services: Services, event: Event) -> str:
    resource = (event.get_text("resourceUri") or event.subject).lower()
    if vault := VAULT.match(resource):
        return await _handle_vault_change(services, vault[0])
    if POLICY_TYPE not in resource:
        return _log_ignored_event(event, f"{resource} is not an enterprise policy")
    policies = {policy.id.lower(): policy for policy in await services.keys.read_policies()}
    environments = await services.environments.list()
    linked = [
        env for env in environments if env.policy and env.policy.policy_id.lower() == resource
    ]
    if resource not in policies:
        if linked:
            await alert_unwatched_policy(services, resource, environments)
        return _log_ignored_event(
            event, f"policy {resource} is deleted or not in a watched subscription"
        )
    if active := tuple(sorted(env.id for env in linked if env.is_linked)):
        await start_remediation(
            services,
            Remediation(
                created_at=services.now,
                mode=RemediationMode.APPLY,
                start_source=StartSource.POLICY_EVENT,
                idempotency_key=event.id,
                environment_ids=active,
            ),
        )
    await record_key_checks_of_event(services, [policies[resource]], environments)
    return f"checked the policy and {len(active)} environments"


async def _handle_vault_change(services: Services, vault_id: str) -> str:
    policies = [
        one for one in await services.keys.read_policies() if one.vault_id.lower() == vault_id
    ]
    environments = await services.environments.list() if policies else ()
    await record_key_checks_of_event(services, policies, environments)
    return f"checked {len(policies)} policies with a key in the vault"


def _log_ignored_event(event: Event, why: str) -> str:
    log.info("event ignored", extra={"event": event.id, "text": why})
    return f"ignored: {why}"
