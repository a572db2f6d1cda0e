"""Whether roles give what a capability needs."""

import pytest

from shared.domain.permissions import (
    PermissionLevel,
    RequiredPermissions,
    RolePermissions,
    check_permissions,
    resource_group,
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
def test_roles_add_up_and_what_one_leaves_out_another_gives(
    permissions: list[RolePermissions], found: PermissionLevel
) -> None:
    """To read a resource is no sign that somebody opted it in."""
    assert check_permissions(NEEDS, permissions) is found


def test_a_pattern_stands_for_itself_but_for_its_stars() -> None:
    """A dot is a dot."""
    needs = RequiredPermissions(fix="", actions=("MicrosoftXWeb/sites/write",))

    assert (
        check_permissions(needs, [RolePermissions(actions=("Microsoft.Web/*",))])
        is PermissionLevel.NONE
    )


def test_a_resource_lies_in_its_group() -> None:
    """However deep."""
    group = "/subscriptions/s/resourceGroups/rg"

    assert resource_group(f"{group}/providers/Microsoft.Web/sites/shop") == group
