"""Unit tests of what of an original's sharing its copy lacks, and of solutions that it joins."""

import pytest

from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowPermission
from shared.domain.sharing import (
    TEAMS,
    USERS,
    DataversePrincipal,
    Share,
    missing_shares,
    others_than,
    rights_of,
    shares_to_copy,
)
from shared.domain.solution import Solution, solutions_for_copy

ANN = DataversePrincipal(table=USERS, id="a")
BEN = DataversePrincipal(table=USERS, id="b")
TEAM = DataversePrincipal(table=TEAMS, id="a")


def share(principal: DataversePrincipal, *rights: str) -> Share:
    """Return a share with these rights."""
    return Share(principal=principal, rights=frozenset(rights))


def test_a_copy_lacks_what_is_missing_and_what_is_different() -> None:
    """Who has the same rights is done; who else is there does not count."""
    wanted = [share(ANN, "ReadAccess"), share(BEN, "ReadAccess"), share(TEAM, "ReadAccess")]
    held = [share(ANN, "ReadAccess"), share(BEN, "ReadAccess", "WriteAccess")]

    found = {one.share.principal: one.has_others for one in missing_shares(wanted, held)}

    assert found == {BEN: True, TEAM: False}
    assert missing_shares([], held) == []


def test_each_principal_is_carried_once_and_some_are_not() -> None:
    """Rights that come twice are joined; a share without a right is none."""
    shares = [share(ANN, "ReadAccess"), share(ANN, "WriteAccess"), share(BEN, "ReadAccess")]

    assert shares_to_copy([*shares, share(TEAM)], {BEN}) == (
        share(ANN, "ReadAccess", "WriteAccess"),
    )


@pytest.mark.parametrize(
    ("role", "can_write", "can_share"),
    [
        ("Owner", True, True),
        ("CanEdit", True, True),
        ("CanViewWithShare", False, True),
        ("CanView", False, False),
        ("SomethingNew", False, False),
    ],
)
def test_a_role_is_never_more_than_it_says(role: str, can_write: bool, can_share: bool) -> None:
    """An unknown one may read."""
    rights = rights_of(role)

    assert "ReadAccess" in rights
    assert ("WriteAccess" in rights, "ShareAccess" in rights) == (can_write, can_share)


def test_the_owner_and_the_operator_are_no_co_owners() -> None:
    """Whatever the case of the ids."""
    permissions = [
        FlowPermission(permission_id=who, principal_id=who, role="CanEdit")
        for who in ("AA", "bb", "cc")
    ]

    assert [one.principal_id for one in others_than(permissions, "aa", "BB", "")] == ["cc"]


def test_built_in_and_managed_solutions_are_not_joined() -> None:
    """Whatever the case of their names; the rest by name."""
    named = [("Default", False), ("active", False), ("Basic", False), ("Zoo", False), ("B", True)]
    solutions = [
        Solution(id=name, unique_name=name, title=name, is_managed=managed)
        for name, managed in [*named, ("apples", False)]
    ]

    assert [one.unique_name for one in solutions_for_copy(solutions)] == ["apples", "Zoo"]


def test_only_what_people_start_has_run_only_users() -> None:
    """A system that posts to a URL is on no such list."""
    assert TriggerCategory.BUTTON.can_have_run_only_users
    assert not TriggerCategory.HTTP.can_have_run_only_users
    assert not TriggerCategory.RECURRENCE.can_have_run_only_users
