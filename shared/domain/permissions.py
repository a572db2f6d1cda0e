"""What the app's identity has to be allowed in Azure, and whether it is."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class PermissionLevel(Enum):
    """How much of what it needs an identity has at one place."""

    FULL = "full"
    PARTIAL = "partial"  #: some of it: it would begin, and be refused in the middle
    NONE = "none"  #: no more than whoever reads the subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredPermissions:
    """What a capability needs, and what gives it."""

    #: What to do where it is missing.
    fix: str
    #: Azure's resources that it is about, and the version that lists them; empty: none of Azure.
    resource_type: str = ""
    api_version: str = ""
    actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePermissions:
    """What one role gives: patterns with `*`, in whatever case of their letters."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


IN_DATAVERSE = RequiredPermissions(
    fix="Add the app to the environment as an application user with the security roles System "
    "Administrator and Delegate."
)
#: Who lacks a role there is no co-owner of a flow, and reads no trigger URL.
OPERATOR_IN_DATAVERSE = RequiredPermissions(
    fix="Add the operator to the environment as a user with the security role Environment Maker."
)
#: Reader, and Key Vault Reader, of a subscription: infra/modules/watched-subscription.bicep.
WATCHED = RequiredPermissions(
    fix="Give the identity Reader and Key Vault Reader on the subscription, or take it out of "
    "CMK_SUBSCRIPTION_IDS.",
    actions=(
        "Microsoft.Web/sites/read",
        "Microsoft.Authorization/roleAssignments/read",
        # Where the firewall of a vault keeps the app out, keys are read through Resource Manager.
        "Microsoft.KeyVault/vaults/keys/read",
        "Microsoft.KeyVault/vaults/keys/versions/read",
    ),
    data_actions=("Microsoft.KeyVault/vaults/keys/read",),
)
#: What lets the app open firewalls there: infra/modules/firewall-group.bicep.
FIREWALL_GROUP = "Add its resource group to CMK_FIREWALL_RESOURCE_GROUP_IDS and deploy again."
IN_POWER_PLATFORM = RequiredPermissions(
    fix="Register the app as an administrator of Power Platform: New-PowerAppManagementApp "
    "-ApplicationId CLIENT_ID."
)


def check_permissions(
    needs: RequiredPermissions, permissions: Sequence[RolePermissions]
) -> PermissionLevel:
    """Return how much of it these permissions give. What only reads a resource is everybody's."""
    roles = [(one.actions, one.not_actions) for one in permissions]
    data_roles = [(one.data_actions, one.not_data_actions) for one in permissions]
    given = [
        *(_is_given(one, roles) for one in needs.actions),
        *(_is_given(one, data_roles) for one in needs.data_actions),
    ]
    if all(given):
        return PermissionLevel.FULL
    own = [
        is_given
        for action, is_given in zip((*needs.actions, *needs.data_actions), given, strict=True)
        if not action.endswith("/read")
    ]
    return PermissionLevel.PARTIAL if any(own) else PermissionLevel.NONE


def _is_given(action: str, patterns: Iterable[tuple[Sequence[str], Sequence[str]]]) -> bool:
    return any(_matches(action, some) and not _matches(action, less) for some, less in patterns)


def _matches(action: str, patterns: Sequence[str]) -> bool:
    return any(
        re.fullmatch(re.escape(one).replace(r"\*", ".*"), action, re.IGNORECASE) for one in patterns
    )


def resource_group(resource_id: str) -> str:
    """Return the id of the group that a resource lies in, as it is written."""
    return "/".join(resource_id.split("/")[:5])
