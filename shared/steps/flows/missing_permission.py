"""Say which role or permissions the app needs, and where, if it may not change a resource."""

from shared.domain.permissions import RequiredPermissions, describe_grant
from shared.domain.platform_errors import OTHER, find_error_code
from shared.errors import JobBlocked, PlatformError


def is_permission_missing(error: PlatformError) -> bool:
    """Return whether a write was rejected for a missing permission of the app.

    A known code says itself what is missing, such as a right of the flow's owner.
    """
    return error.status == 403 and find_error_code(error.code, error.detail) is OTHER


def build_missing_permission(
    error: PlatformError, label: str, needs: RequiredPermissions, resource_id: str
) -> JobBlocked:
    """Return the error that names what to grant. `label` is the resource for people."""
    return JobBlocked(
        f"The app may not change the {label}: {error}",
        fix=f"{describe_grant(needs, resource_id)} Then retry.",
        code=error.code,
    )
