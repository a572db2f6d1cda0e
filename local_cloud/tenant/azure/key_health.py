"""Determine whether Power Platform can use the key of an enterprise policy or an environment.

If it cannot, every environment with the policy is locked (platform.md#key-loss). The answer is
computed from the vault each time, so the environments are unlocked when the key is enabled again.
"""

from datetime import datetime, timedelta

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import POLICIES, Azure
from local_cloud.tenant.azure.vault_contents import Key, SimulatedKeyVersion
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import (
    LinkStatus,
    SimulatedEnvironment,
    SimulatedPolicyLink,
)

#: How long a version must stay enabled after its successor was made.
RETENTION = timedelta(days=28)


def find_lock_reason(azure: Azure, policy_id: str, now: datetime) -> str | None:
    """Return why the environments with this policy are locked, or None if they are not.

    A missing policy locks them.
    """
    policy = azure.resources.find(POLICIES, policy_id)
    if policy is None:
        return f"The enterprise policy '{policy_id}' does not exist."
    return find_key_problem(azure, policy, now)


def find_key_problem(azure: Azure, policy: JsonObject, now: datetime) -> str | None:
    """Return why the key that a policy names cannot be used, or None if it can."""
    encryption = policy["properties"].get("encryption")
    if encryption is None:
        return None
    vault_name = encryption["keyVault"]["id"].rpartition("/")[2]
    name, pinned = encryption["keyVault"]["key"]["name"], encryption["keyVault"]["key"]["version"]
    vault = azure.find_vault(vault_name)
    key = None if vault is None else vault.find_key(name)
    if key is None:
        return f"The key '{name}' does not exist in the vault '{vault_name}'."
    version = key.find(pinned or "")
    if version is None:
        return f"The key '{name}' has no version '{pinned}'."
    if not version.attributes.is_usable(now):
        return f"Version '{version.version}' of the key '{name}' is disabled, expired or not begun."
    if azure.is_early_disabling_fatal and not pinned:
        return _find_early_disabling(key, now)
    return None


def _find_early_disabling(key: Key, now: datetime) -> str | None:
    for version in key.versions:
        if _is_still_needed(key, version, now) and not version.attributes.enabled:
            return (
                f"Version '{version.version}' of the key '{key.name}' was disabled within "
                f"{RETENTION.days} days of its successor."
            )
    return None


def _is_still_needed(key: Key, version: SimulatedKeyVersion, now: datetime) -> bool:
    superseded_at = key.find_superseded_at(version)
    return superseded_at is None or now < superseded_at + RETENTION


def find_policy(tenant: Tenant, system_id: str) -> SimulatedPolicyLink | None:
    """Return the encryption policy with this system id or resource id, or None."""
    for resource in tenant.get_part(Azure).resources.list_of_type(POLICIES):
        known: str = resource["properties"]["systemId"]
        names = {known.lower(), resource["id"].lower()}
        if system_id.lower() in names and resource.get("kind") == "Encryption":
            return SimulatedPolicyLink(
                policy_id=known.rpartition("/")[2],
                location=resource["location"],
                id=resource["id"],
                system_id=known,
                status=LinkStatus.LINKED,
            )
    return None


def is_locked(tenant: Tenant, environment: SimulatedEnvironment) -> bool:
    """Return whether an administrator or the loss of its key has locked an environment.

    See platform.md#key-loss.
    """
    if environment.is_locked:
        return True
    policy, now = environment.policy, tenant.clock.now()
    if policy is None or policy.status != LinkStatus.LINKED:
        return False
    return find_lock_reason(tenant.get_part(Azure), policy.id, now) is not None
