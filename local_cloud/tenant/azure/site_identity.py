"""Find the identity with which a resource reads Key Vault, and check what it may read.

See platform.md#key-vault-references.
"""

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import SITES, SLOTS, VAULTS, Azure

#: Built-in roles that may read secrets: Key Vault Secrets User, Secrets Officer and Administrator.
_READING_ROLES = {
    "4633458b-17de-408a-b874-0445c86b69e6",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
}
_SYSTEM_ASSIGNED = "SystemAssigned"


def find_principal(azure: Azure, site_id: str) -> str:
    """Return the object id with which a site resolves references, or an empty text."""
    site = azure.resources.find(SITES, site_id) or azure.resources.find(SLOTS, site_id)
    chosen = (site or {}).get("properties", {}).get("keyVaultReferenceIdentity")
    is_system = not chosen or chosen.lower() == _SYSTEM_ASSIGNED.lower()
    return find_assigned_principal(site, "" if is_system else chosen)


def find_assigned_principal(resource: JsonObject | None, wanted: str) -> str:
    """Return the object id of an identity that a resource has, or an empty text.

    `wanted` is the resource id or client id of a user-assigned identity; empty means the
    system-assigned one.
    """
    identity = (resource or {}).get("identity") or {}
    if not wanted:
        return str(identity.get("principalId") or "")
    assigned: JsonObject = identity.get("userAssignedIdentities") or {}
    for path, one in assigned.items():
        if wanted.lower() in {path.lower(), str(one.get("clientId") or "").lower()}:
            return str(one.get("principalId") or "")
    return ""


def may_read(azure: Azure, principal: str, vault_id: str, secret: str) -> bool:
    """Return whether an identity may read a secret of a vault."""
    vault = azure.resources.find(VAULTS, vault_id)
    properties = vault["properties"] if vault else {}
    rules = properties.get("networkAcls") or {}
    is_open = properties.get("publicNetworkAccess", "Enabled") == "Enabled"
    if not is_open or rules.get("defaultAction", "Allow") != "Allow":
        return False
    if not properties.get("enableRbacAuthorization"):
        return any(
            policy["objectId"].lower() == principal.lower()
            and "get" in {one.lower() for one in policy["permissions"].get("secrets") or ()}
            for policy in properties.get("accessPolicies") or ()
        )
    place = f"{vault_id}/secrets/{secret}/".lower()
    return any(
        each["principalId"] == principal
        and each["roleDefinitionId"].rpartition("/")[2].lower() in _READING_ROLES
        and place.startswith(f"{each['scope'].lower().rstrip('/')}/")
        for each in (one["properties"] for one in azure.role_assignments.values())
    )
