import pytest

from shared.domain.permissions import (
    PermissionLevel,
    RequiredPermissions,
    RolePermissions,
    check_permissions,
    get_resource_group_id,
)

NEEDS = RequiredPermissions(
    fix="",
    actions=("Microsoft.Web/sites/read", "Microsoft.Web/sites/config/write"),
    data_actions=("Microsoft.Web/sites/values/read/action",),
)
READER = RolePermissions(actions=("*/read",))
CONFIG = RolePermissions(actions=("microsoft.web/sites/config/*",))
NO_WRITES = RolePermissions(actions=("*",), not_actions=("*/write",))
VALUES = RolePermissions(data_actions=("*",))


@pytest.mark.parametrize(
    ("permissions", "found"),
    [
        ([READER, CONFIG, VALUES], PermissionLevel.FULL),
        ([RolePermissions(actions=("*",), data_actions=("*",))], PermissionLevel.FULL),
        ([READER, CONFIG], PermissionLevel.PARTIAL),
        ([READER, VALUES], PermissionLevel.PARTIAL),
        ([READER], PermissionLevel.NONE),
        ([], PermissionLevel.NONE),
        ([RolePermissions(actions=("*",))], PermissionLevel.PARTIAL),
        ([NO_WRITES, VALUES], PermissionLevel.PARTIAL),
        (
            [RolePermissions(actions=("*",), not_actions=("*/write",)), READER, CONFIG, VALUES],
            PermissionLevel.FULL,
        ),
    ],
)
def test_permissions_of_several_roles_are_combined(
    permissions: list[RolePermissions], found: PermissionLevel
) -> None:
    """Read permissions alone do not mean that a person has opted the resource in."""
    assert check_permissions(NEEDS, permissions) is found


def test_only_stars_of_an_action_pattern_are_wildcards() -> None:
    needs = RequiredPermissions(fix="", actions=("MicrosoftXWeb/sites/write",))

    assert (
        check_permissions(needs, [RolePermissions(actions=("Microsoft.Web/*",))])
        is PermissionLevel.NONE
    )


def test_resource_group_is_parsed_from_a_resource_id() -> None:
    group = "/subscriptions/s/resourceGroups/rg"

    assert get_resource_group_id(f"{group}/providers/Microsoft.Web/sites/shop") == group
