"""Enterprise policies as Power Platform sees them: Resource Manager's resources, by system id."""

from local_cloud.tenant.azure_state import POLICIES, Azure
from local_cloud.tenant.environment import LinkStatus, PolicyLink
from local_cloud.tenant.tenant import Tenant


def find_policy(tenant: Tenant, system_id: str) -> PolicyLink | None:
    """The Encryption policy with a system id, as a link to it would look once made."""
    for resource in tenant.part(Azure).resources.of_type(POLICIES):
        known: str = resource["properties"]["systemId"]
        if known.lower() == system_id.lower() and resource.get("kind") == "Encryption":
            return PolicyLink(
                policy_id=known.rpartition("/")[2],
                location=resource["location"],
                id=resource["id"],
                system_id=known,
                status=LinkStatus.LINKED,
            )
    return None
