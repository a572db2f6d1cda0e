"""Find the enterprise policy of an environment, and whether its key locks the environment."""

from local_cloud.tenant.azure.key_health import find_lock_reason
from local_cloud.tenant.azure.state import POLICIES, Azure
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import (
    LinkStatus,
    SimulatedEnvironment,
    SimulatedPolicyLink,
)


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
