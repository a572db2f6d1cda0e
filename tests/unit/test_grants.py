"""Whether roles give what a capability needs."""

import pytest

from shared.domain.permissions import Access, Needs, Permission, access, resource_group

NEEDS = Needs(
    remedy="",
    actions=("Microsoft.Web/sites/read", "Microsoft.Web/sites/config/write"),
    data_actions=("Microsoft.Web/sites/values/read/action",),
)
READER = Permission(actions=("*/read",))
CONFIG = Permission(actions=("microsoft.web/sites/config/*",))
NO_WRITES = Permission(actions=("*",), not_actions=("*/write",))
VALUES = Permission(data_actions=("*",))


@pytest.mark.parametrize(
    ("permissions", "found"),
    [
        ([READER, CONFIG, VALUES], Access.FULL),
        ([Permission(actions=("*",), data_actions=("*",))], Access.FULL),
        ([READER, CONFIG], Access.PARTIAL),
        ([READER, VALUES], Access.PARTIAL),
        ([READER], Access.NONE),
        ([], Access.NONE),
        ([Permission(actions=("*",))], Access.PARTIAL),
        ([NO_WRITES, VALUES], Access.PARTIAL),
        (
            [Permission(actions=("*",), not_actions=("*/write",)), READER, CONFIG, VALUES],
            Access.FULL,
        ),
    ],
)
def test_roles_add_up_and_what_one_leaves_out_another_gives(
    permissions: list[Permission], found: Access
) -> None:
    """To read a resource is no sign that somebody opted it in."""
    assert access(NEEDS, permissions) is found


def test_a_pattern_stands_for_itself_but_for_its_stars() -> None:
    """A dot is a dot."""
    needs = Needs(remedy="", actions=("MicrosoftXWeb/sites/write",))

    assert access(needs, [Permission(actions=("Microsoft.Web/*",))]) is Access.NONE


def test_a_resource_lies_in_its_group() -> None:
    """However deep."""
    group = "/subscriptions/s/resourceGroups/rg"

    assert resource_group(f"{group}/providers/Microsoft.Web/sites/shop") == group
