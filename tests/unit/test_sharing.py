import pytest

from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowPermission
from shared.domain.sharing import (
    TEAMS,
    USERS,
    DataversePrincipal,
    Share,
    exclude_principals,
    list_missing_shares,
    list_rights,
    list_shares_to_copy,
)
from shared.domain.solution import Solution, list_solutions_for_copy

ANN = DataversePrincipal(table=USERS, id="a")
BEN = DataversePrincipal(table=USERS, id="b")
TEAM = DataversePrincipal(table=TEAMS, id="a")


def build_share(principal: DataversePrincipal, *rights: str) -> Share:
    return Share(principal=principal, rights=frozenset(rights))


def test_missing_shares_contains_missing_and_different_shares() -> None:
    wanted = [
        build_share(ANN, "ReadAccess"),
        build_share(BEN, "ReadAccess"),
        build_share(TEAM, "ReadAccess"),
    ]
    held = [build_share(ANN, "ReadAccess"), build_share(BEN, "ReadAccess", "WriteAccess")]

    found = {one.share.principal: one.has_others for one in list_missing_shares(wanted, held)}

    assert found == {BEN: True, TEAM: False}
    assert list_missing_shares([], held) == []


def test_shares_to_copy_contains_each_principal_once() -> None:
    shares = [
        build_share(ANN, "ReadAccess"),
        build_share(ANN, "WriteAccess"),
        build_share(BEN, "ReadAccess"),
    ]

    assert list_shares_to_copy([*shares, build_share(TEAM)], {BEN}) == (
        build_share(ANN, "ReadAccess", "WriteAccess"),
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
def test_rights_of_grants_only_the_rights_of_the_role(
    role: str, can_write: bool, can_share: bool
) -> None:
    rights = list_rights(role)

    assert "ReadAccess" in rights
    assert ("WriteAccess" in rights, "ShareAccess" in rights) == (can_write, can_share)


def test_owner_and_service_account_are_not_co_owners() -> None:
    permissions = [FlowPermission(principal_id=who, role="CanEdit") for who in ("AA", "bb", "cc")]

    assert [one.principal_id for one in exclude_principals(permissions, "aa", "BB", "")] == ["cc"]


def test_built_in_and_managed_solutions_are_not_joined() -> None:
    """Built-in solutions are recognised by their unique names, in upper or lower case."""
    named = [("Default", False), ("active", False), ("Basic", False), ("Zoo", False), ("B", True)]
    solutions = [
        Solution(id=name, unique_name=name, title=name, is_managed=managed)
        for name, managed in [*named, ("apples", False)]
    ]

    assert [one.unique_name for one in list_solutions_for_copy(solutions)] == ["apples", "Zoo"]


def test_only_flows_that_people_start_have_run_only_users() -> None:
    """A system that calls a trigger URL is no run-only user."""
    assert TriggerCategory.BUTTON.can_have_run_only_users
    assert not TriggerCategory.HTTP.can_have_run_only_users
    assert not TriggerCategory.RECURRENCE.can_have_run_only_users
