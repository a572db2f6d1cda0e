"""Define the permissions that the app's identity needs in Azure, and check them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class PermissionLevel(Enum):
    """Whether an identity has all, some or none of the required permissions on a resource."""

    FULL = "full"
    PARTIAL = "partial"  #: some of them, so that a change would fail half-way
    NONE = "none"  #: at most those of a reader


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredPermissions:
    """The permissions that a capability needs, and how to grant them."""

    #: What to do if they are missing.
    fix: str
    #: Name and purpose of the role with them that a deployment creates; empty: another kind's.
    role: str = ""
    role_purpose: str = ""
    #: The type of the affected Azure resources, and the API version that lists them; empty: none.
    resource_type: str = ""
    api_version: str = ""
    actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePermissions:
    """The permissions of one role: patterns with `*`, case-insensitive."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


IN_DATAVERSE = RequiredPermissions(
    fix="Add the app to the environment as an application user with the security roles System "
    "Administrator and Delegate."
)
#: Without a role there, the service account cannot become co-owner or read trigger URLs.
OPERATOR_IN_DATAVERSE = RequiredPermissions(
    fix=(
        "Add the service account to the environment as a user with the security role Environment "
        "Maker."
    )
)
#: Reader and Key Vault Reader on a subscription: infra/modules/watched-subscription.bicep.
WATCHED = RequiredPermissions(
    fix=(
        "Grant the identity Reader and Key Vault Reader on the subscription, or remove the "
        "subscription from CMK_SUBSCRIPTION_IDS."
    ),
    actions=(
        "Microsoft.Web/sites/read",
        "Microsoft.Authorization/roleAssignments/read",
        # If a vault's firewall denies the app, the app reads keys through Resource Manager.
        "Microsoft.KeyVault/vaults/keys/read",
        "Microsoft.KeyVault/vaults/keys/versions/read",
    ),
    data_actions=("Microsoft.KeyVault/vaults/keys/read",),
)
#: Allows the app to change firewalls: infra/modules/firewall-group.bicep.
FIREWALL_GROUP = "Add its resource group to CMK_FIREWALL_RESOURCE_GROUP_IDS and deploy again."
IN_POWER_PLATFORM = RequiredPermissions(
    fix="Register the app as an administrator of Power Platform: New-PowerAppManagementApp "
    "-ApplicationId CLIENT_ID."
)


def check_permissions(
    needs: RequiredPermissions, permissions: Sequence[RolePermissions]
) -> PermissionLevel:
    """Return whether these roles grant all, some or none of the required permissions.

    Permissions that only read a resource do not count as some, because every reader has them.
    """
    missing = find_missing_permissions(needs, permissions)
    if not missing:
        return PermissionLevel.FULL
    own = [one for one in (*needs.actions, *needs.data_actions) if not one.endswith("/read")]
    return PermissionLevel.PARTIAL if set(own) - set(missing) else PermissionLevel.NONE


def find_missing_permissions(
    needs: RequiredPermissions, permissions: Sequence[RolePermissions]
) -> list[str]:
    """Return the required actions and data actions that no role grants."""
    roles = [(one.actions, one.not_actions) for one in permissions]
    data_roles = [(one.data_actions, one.not_data_actions) for one in permissions]
    return [
        *(one for one in needs.actions if not _is_granted(one, roles)),
        *(one for one in needs.data_actions if not _is_granted(one, data_roles)),
    ]


def _is_granted(action: str, patterns: Iterable[tuple[Sequence[str], Sequence[str]]]) -> bool:
    return any(
        _matches_any(action, some) and not _matches_any(action, less) for some, less in patterns
    )


def _matches_any(action: str, patterns: Sequence[str]) -> bool:
    return any(
        re.fullmatch(re.escape(one).replace(r"\*", ".*"), action, re.IGNORECASE) for one in patterns
    )


def describe_grant(needs: RequiredPermissions, resource_id: str) -> str:
    """Return a text that says what to grant the app's identity so that it may change a resource.

    If `needs` contains no permission to write, returns only its fix.
    """
    changes = [one for one in (*needs.actions, *needs.data_actions) if not one.endswith("/read")]
    if not changes:
        return needs.fix
    what = f"the role Flow remediation: {needs.role}" if needs.role else ", ".join(sorted(changes))
    group = get_resource_group_id(resource_id) if resource_id.startswith("/subscriptions/") else ""
    where = group or "its resource group"
    return f"The app's identity needs {what} on {where}. {needs.fix}"


def find_type_replaced_by_write(needs: RequiredPermissions, resource_type: str) -> str:
    """Return the resource type that Azure Resource Manager replaces when the app writes a resource.

    This is the resource's own type, or that of its only child that may be written
    (`Microsoft.Web/sites/config`). Returns "" if the app writes neither.
    """
    wanted = resource_type.lower()
    written = [one.removesuffix("/write") for one in needs.actions if one.endswith("/write")]
    itself = (one for one in written if one.lower() == wanted)
    children = (one for one in written if one.rpartition("/")[0].lower() == wanted)
    return next(itself, "") or next(children, "")


def get_resource_type(resource_id: str) -> str:
    """Return the type of a resource, such as `Microsoft.Web/sites/slots`."""
    provider, *names = resource_id.rpartition("/providers/")[2].split("/")
    return "/".join([provider, *names[::2]])


def get_parent_id(resource_id: str) -> str:
    """Return the id of a resource's parent: another resource, or the resource group."""
    start, _, path = resource_id.rpartition("/providers/")
    is_child = path.count("/") > 2
    return resource_id.rsplit("/", 2)[0] if is_child else start


def get_resource_group_id(resource_id: str) -> str:
    """Return the id of the resource group in a resource's id, in the same spelling."""
    return "/".join(resource_id.split("/")[:5])
