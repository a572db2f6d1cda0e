"""Name the role or permissions that the app needs, and where, if it may not change a resource."""

import re

from shared.domain.permissions import RequiredPermissions, describe_grant
from shared.domain.platform_errors import OTHER, find_error_code
from shared.errors import JobBlocked, PlatformError

#: In the code or the message of a 403 that no role ends: of a firewall, or of a disabled
#: subscription. The message about a missing role may name a resource, such as a firewall.
_NOT_BY_ROLE = re.compile(
    r"not a trusted service|public network access|ClientIpAddress|IP allow list|Ip forbidden"
    r"|DisabledSubscription|RequestDisallowedByAzure",
    re.IGNORECASE,
)


def is_permission_missing(error: PlatformError) -> bool:
    """Return whether a write was rejected because the app lacks a permission.

    A known error code already says what is missing, such as a right of the flow's owner, and does
    not count.
    """
    if error.status != 403 or _NOT_BY_ROLE.search(f"{error.code} {error.detail}"):
        return False
    return find_error_code(error.code, error.detail) is OTHER


def build_missing_permission_error(
    error: PlatformError, label: str, needs: RequiredPermissions, resource_id: str
) -> JobBlocked:
    """Return the error that says what to grant. `label` names the resource for people."""
    return JobBlocked(
        f"The app may not change the {label}: {error}",
        fix=f"{describe_grant(needs, resource_id)} Then retry.",
        code=error.code,
    )
