import pytest

from shared.domain.flow import FlowPermission
from shared.domain.sharing import TEAMS, USERS, DataversePrincipal, Share, list_rights
from shared.domain.solution import list_solutions_for_copy
from shared.errors import NotFound, PlatformError
from tests.contract.ports.described_tenant import GROUP, GROUP_TEAM, OWN_TEAM, STRANGER
from tests.contract.ports.sides import Side
from tests.local_cloud.tenant.tenant_world import (
    ADMIN,
    APP,
    BUTTON_FLOW,
    DAILY_FLOW,
    ENVIRONMENT,
    HTTP_FLOW,
    MAKER,
    UNLICENSED,
)


def build_principal(side: Side, entra_id: str) -> DataversePrincipal:
    return DataversePrincipal(table=USERS, id=side.hands.find_user_id(entra_id))


async def test_granted_rights_of_users_and_teams_are_listed(side: Side) -> None:
    user = Share(principal=build_principal(side, ADMIN), rights=list_rights("CanEdit"))
    team = Share(
        principal=DataversePrincipal(table=TEAMS, id=OWN_TEAM), rights=list_rights("CanView")
    )

    for share in (user, user, team):
        await side.ports.flow_sharing.grant(await side.read_environment(), HTTP_FLOW, share)

    found = await side.ports.flow_sharing.list(await side.read_environment(), HTTP_FLOW)
    assert sorted(found, key=str) == sorted([user, team], key=str)
    assert await side.ports.flow_sharing.list(await side.read_environment(), DAILY_FLOW) == []


async def test_shares_of_many_flows_are_listed_together(side: Side) -> None:
    where = await side.read_environment()
    share = Share(principal=build_principal(side, ADMIN), rights=list_rights("CanView"))
    await side.ports.flow_sharing.grant(where, HTTP_FLOW, share)

    found = await side.ports.flow_sharing.list_shares_by_flow(
        where, [HTTP_FLOW, STRANGER, DAILY_FLOW]
    )

    assert found[HTTP_FLOW] == [share]
    assert isinstance(found[STRANGER], NotFound)
    assert found[DAILY_FLOW] == []


async def test_grant_adds_rights_and_modify_replaces_them(
    side: Side,
) -> None:
    """`grant` could leave a copy with more rights than its original, so the app then uses
    `modify`.
    """
    reader = Share(principal=build_principal(side, ADMIN), rights=list_rights("CanView"))
    sharer = Share(principal=build_principal(side, ADMIN), rights=frozenset({"ShareAccess"}))
    where = await side.read_environment(), HTTP_FLOW

    await side.ports.flow_sharing.grant(*where, reader)
    await side.ports.flow_sharing.grant(*where, sharer)
    [both] = await side.ports.flow_sharing.list(*where)
    await side.ports.flow_sharing.modify(*where, reader)
    [one] = await side.ports.flow_sharing.list(*where)

    assert both.rights == {"ReadAccess", "ShareAccess"}
    assert one == reader


async def test_revoked_share_is_no_longer_listed(side: Side) -> None:
    user = Share(principal=build_principal(side, ADMIN), rights=list_rights("CanEdit"))
    team = Share(
        principal=DataversePrincipal(table=TEAMS, id=OWN_TEAM), rights=list_rights("CanView")
    )
    where = await side.read_environment(), HTTP_FLOW
    for share in (user, team):
        await side.ports.flow_sharing.grant(*where, share)

    for _ in range(2):
        await side.ports.flow_sharing.revoke(*where, user.principal)

    assert await side.ports.flow_sharing.list(*where) == [team]
    with pytest.raises(NotFound):
        await side.ports.flow_sharing.revoke(where[0], STRANGER, user.principal)


async def test_share_in_dataverse_is_a_permission_in_the_flow_service(side: Side) -> None:
    share = Share(
        principal=DataversePrincipal(table=TEAMS, id=GROUP_TEAM), rights=list_rights("CanEdit")
    )

    await side.ports.flow_sharing.grant(await side.read_environment(), HTTP_FLOW, share)

    held = await side.ports.flow_access.read_permissions(ENVIRONMENT, HTTP_FLOW)
    assert FlowPermission(principal_id=GROUP, role="CanEdit", principal_type="Group") in held


async def test_impossible_share_raises_an_error(side: Side) -> None:
    disabled = Share(principal=build_principal(side, UNLICENSED), rights=list_rights("CanView"))
    nobody = Share(
        principal=DataversePrincipal(table=USERS, id=STRANGER), rights=list_rights("CanView")
    )

    with pytest.raises(PlatformError):
        await side.ports.flow_sharing.grant(await side.read_environment(), HTTP_FLOW, disabled)
    with pytest.raises(NotFound):
        await side.ports.flow_sharing.grant(await side.read_environment(), HTTP_FLOW, nobody)
    with pytest.raises(NotFound):
        await side.ports.flow_sharing.list(await side.read_environment(), STRANGER)


async def test_users_and_teams_are_found_by_their_entra_ids(
    side: Side,
) -> None:
    users = await side.ports.principals.read_users(
        await side.read_environment(), [MAKER.upper(), UNLICENSED, STRANGER]
    )
    teams = await side.ports.principals.read_teams(await side.read_environment(), [GROUP, STRANGER])

    assert {who: user.is_disabled for who, user in users.items()} == {
        MAKER: False,
        UNLICENSED: True,
    }
    assert (users[MAKER].principal, users[MAKER].name) == (build_principal(side, MAKER), "Maker")
    assert teams == {GROUP: DataversePrincipal(table=TEAMS, id=GROUP_TEAM)}


async def test_read_user_finds_a_user_and_not_a_team(side: Side) -> None:
    maker = await side.ports.principals.read_user(
        await side.read_environment(), build_principal(side, MAKER).id
    )

    assert maker is not None
    assert maker.name == "Maker"
    assert await side.ports.principals.read_user(await side.read_environment(), OWN_TEAM) is None


async def test_application_user_is_found(side: Side) -> None:
    """The app omits its own user when it shares a copy like the original."""
    assert await side.ports.principals.read_application_user(
        await side.read_environment()
    ) == build_principal(side, APP)


async def test_privilege_levels_are_read(side: Side) -> None:
    where = await side.read_environment()

    async def read_depth(entra_id: str, name: str) -> frozenset[str]:
        return await side.ports.principals.read_privilege_levels(
            where, build_principal(side, entra_id).id, name
        )

    assert await read_depth(APP, "prvWriteWorkflow") == {"Global"}
    assert await read_depth(APP, "prvActOnBehalfOfAnotherUser") == {"Global"}
    assert await read_depth(MAKER, "prvWriteWorkflow") == {"Basic"}
    assert await read_depth(MAKER, "prvActOnBehalfOfAnotherUser") == set()


async def test_flow_is_added_to_the_solutions_of_another_flow(side: Side) -> None:
    where, both = await side.read_environment(), [HTTP_FLOW, DAILY_FLOW]
    held = await side.ports.solutions.read_solution_ids(where, both)
    found = list_solutions_for_copy(await side.ports.solutions.get(where, held[HTTP_FLOW]))
    assert [solution.unique_name for solution in found] == ["Orders"]

    for _ in range(2):
        await side.ports.solutions.add_flow(where, found[0], DAILY_FLOW)

    held = await side.ports.solutions.read_solution_ids(where, both)
    assert held[DAILY_FLOW] == {found[0].id} < held[HTTP_FLOW]


async def test_flow_cannot_be_added_to_a_managed_solution(side: Side) -> None:
    held = await side.ports.solutions.read_solution_ids(await side.read_environment(), [HTTP_FLOW])
    solutions = await side.ports.solutions.get(await side.read_environment(), held[HTTP_FLOW])
    [bought] = [one for one in solutions if one.is_managed]

    with pytest.raises(PlatformError):
        await side.ports.solutions.add_flow(await side.read_environment(), bought, DAILY_FLOW)


async def test_flow_outside_solutions_has_its_description_and_co_owners(
    side: Side,
) -> None:
    """The flow has no row in Dataverse."""
    detail = await side.ports.flow_reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
    held = await side.ports.flow_access.read_permissions(ENVIRONMENT, BUTTON_FLOW)

    assert detail.description == "Press it"
    assert {(one.principal_id, one.role, one.is_group) for one in held} == {
        (MAKER, "Owner", False),
        (ADMIN, "CanEdit", False),
        (GROUP, "CanView", True),
    }
