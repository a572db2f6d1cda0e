"""Sharing, people and solutions of flows: the adapters against the tenant over TLS."""

from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from shared.adapters.dataverse.principals import DataversePrincipals
from shared.adapters.dataverse.sharing import DataverseSharing
from shared.adapters.dataverse.solutions import DataverseSolutions
from shared.adapters.dataverse.web_api import Dataverse
from shared.adapters.entra.identity import application_credential
from shared.domain.environment import Environment
from shared.domain.flow import Permission
from shared.domain.sharing import TEAMS, USERS, Principal, Share, rights_of
from shared.domain.solution import to_join
from shared.errors import NotFound, Refused
from tests.contract import adapter_world
from tests.contract.adapter_world import Adapters, adapters
from tests.contract.tenant_world import (
    ADMIN,
    APP,
    APP_CLIENT,
    BUTTON_FLOW,
    DAILY_FLOW,
    ENVIRONMENT,
    HTTP_FLOW,
    MAKER,
    UNLICENSED,
)

GROUP = "c0000000-0000-4000-8000-000000000001"
GROUP_TEAM = "70000000-0000-4000-8000-000000000001"
GUESTS_TEAM = "70000000-0000-4000-8000-000000000002"
OWN_TEAM = "70000000-0000-4000-8000-000000000003"
STRANGER = "b0000000-0000-4000-8000-00000000dead"


def description() -> dict[str, Any]:
    """Return the seed of the adapters' tests with people, teams and solutions."""
    full = deepcopy(adapter_world.description())
    full["directory"]["groups"] = [{"id": GROUP, "name": "Sales"}]
    environment = full["environments"][0]
    environment["members"].append({"id": UNLICENSED, "isDisabled": True})
    environment["teams"] = [
        {"teamid": GUESTS_TEAM, "name": "Sales guests", "azureactivedirectoryobjectid": GROUP}
        | {"teamtype": 2, "membershiptype": 3},
        {"teamid": GROUP_TEAM, "name": "Sales", "azureactivedirectoryobjectid": GROUP}
        | {"teamtype": 2},
        {"teamid": OWN_TEAM, "name": "Night shift"},
    ]
    environment["solutions"] += [
        {"uniquename": "Default", "friendlyname": "Default Solution"},
        {"uniquename": "Bought", "friendlyname": "Bought", "ismanaged": True},
    ]
    for flow in environment["flows"]:
        if flow["workflowEntityId"] == HTTP_FLOW:
            flow["solutions"] = ["Orders", "Default", "Bought"]
        if flow["workflowEntityId"] == BUTTON_FLOW:
            flow["description"] = "Press it"
            flow["coOwners"] = {ADMIN: "CanEdit", GROUP: "CanView"}
    return full


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The adapters and the environment they are asked about."""

    app: Adapters
    environment: Environment
    sharing: DataverseSharing
    principals: DataversePrincipals
    solutions: DataverseSolutions

    def row(self, object_id: str) -> Principal:
        """Return a user's row."""
        row_id = self.app.world.environment.users[object_id]["systemuserid"]
        return Principal(table=USERS, id=row_id)


@pytest.fixture
async def on_wire(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sharing]:
    """Give the adapters on a tenant of this test's own."""
    seed = description()
    monkeypatch.setattr(adapter_world, "description", lambda: seed)
    async with adapters(monkeypatch) as app:
        credential = application_credential(APP_CLIENT)
        dataverse = Dataverse(app.http, credential)
        yield Sharing(
            app=app,
            environment=await app.environment(),
            sharing=DataverseSharing(dataverse),
            principals=DataversePrincipals(dataverse),
            solutions=DataverseSolutions(dataverse),
        )
        await credential.close()


async def test_users_and_teams_get_rights_and_show_them(on_wire: Sharing) -> None:
    """Granted twice is granted once; a team may have no group behind it."""
    user = Share(principal=on_wire.row(ADMIN), rights=rights_of("CanEdit"))
    team = Share(principal=Principal(table=TEAMS, id=OWN_TEAM), rights=rights_of("CanView"))

    for share in (user, user, team):
        await on_wire.sharing.grant(on_wire.environment, HTTP_FLOW, share)

    found = await on_wire.sharing.list(on_wire.environment, HTTP_FLOW)
    assert sorted(found, key=str) == sorted([user, team], key=str)
    assert await on_wire.sharing.list(on_wire.environment, DAILY_FLOW) == []


async def test_a_grant_adds_rights_and_a_modification_replaces_them(
    on_wire: Sharing,
) -> None:
    """Hence the second where a copy has other rights already."""
    reader = Share(principal=on_wire.row(ADMIN), rights=rights_of("CanView"))
    sharer = Share(principal=on_wire.row(ADMIN), rights=frozenset({"ShareAccess"}))
    where = on_wire.environment, HTTP_FLOW

    await on_wire.sharing.grant(*where, reader)
    await on_wire.sharing.grant(*where, sharer)
    [both] = await on_wire.sharing.list(*where)
    await on_wire.sharing.modify(*where, reader)
    [one] = await on_wire.sharing.list(*where)

    assert both.rights == {"ReadAccess", "ShareAccess"}
    assert one == reader


async def test_a_share_shows_as_co_ownership(on_wire: Sharing) -> None:
    """The flow service and Dataverse tell of the same people."""
    share = Share(principal=Principal(table=TEAMS, id=GROUP_TEAM), rights=rights_of("CanEdit"))

    await on_wire.sharing.grant(on_wire.environment, HTTP_FLOW, share)

    held = await on_wire.app.access.permissions(ENVIRONMENT, HTTP_FLOW)
    assert (
        Permission(permission_id=GROUP, principal_id=GROUP, role="CanEdit", principal_type="Group")
        in held
    )


async def test_what_cannot_be_shared_is_an_error(on_wire: Sharing) -> None:
    """With a disabled user, with nobody, or a flow that is gone."""
    disabled = Share(principal=on_wire.row(UNLICENSED), rights=rights_of("CanView"))
    nobody = Share(principal=Principal(table=USERS, id=STRANGER), rights=rights_of("CanView"))

    with pytest.raises(Refused):
        await on_wire.sharing.grant(on_wire.environment, HTTP_FLOW, disabled)
    with pytest.raises(NotFound):
        await on_wire.sharing.grant(on_wire.environment, HTTP_FLOW, nobody)
    with pytest.raises(NotFound):
        await on_wire.sharing.list(on_wire.environment, STRANGER)


async def test_people_and_groups_are_found_by_what_entra_calls_them(
    on_wire: Sharing,
) -> None:
    """Strangers are left out; of a group's teams the one of all its members counts."""
    users = await on_wire.principals.users(
        on_wire.environment, [MAKER.upper(), UNLICENSED, STRANGER]
    )
    teams = await on_wire.principals.teams(on_wire.environment, [GROUP, STRANGER])

    assert {who: user.is_disabled for who, user in users.items()} == {
        MAKER: False,
        UNLICENSED: True,
    }
    assert (users[MAKER].principal, users[MAKER].name) == (on_wire.row(MAKER), "Maker")
    assert teams == {GROUP: Principal(table=TEAMS, id=GROUP_TEAM)}


async def test_a_user_is_found_by_its_row_and_a_team_is_none(on_wire: Sharing) -> None:
    """The owner of a flow may be either."""
    maker = await on_wire.principals.user(on_wire.environment, on_wire.row(MAKER).id)

    assert maker is not None
    assert maker.name == "Maker"
    assert await on_wire.principals.user(on_wire.environment, OWN_TEAM) is None


async def test_the_app_knows_its_own_user(on_wire: Sharing) -> None:
    """Which is not carried over to copies."""
    assert await on_wire.principals.application(on_wire.environment) == on_wire.row(APP)


async def test_a_flow_joins_the_solutions_of_another(on_wire: Sharing) -> None:
    """Built-in and managed ones are left alone; joining may be repeated."""
    where, both = on_wire.environment, [HTTP_FLOW, DAILY_FLOW]
    held = await on_wire.solutions.holding(where, both)
    found = to_join(await on_wire.solutions.get(where, held[HTTP_FLOW]))
    assert [solution.unique_name for solution in found] == ["Orders"]

    for _ in range(2):
        await on_wire.solutions.add_flow(where, found[0], DAILY_FLOW)

    held = await on_wire.solutions.holding(where, both)
    assert held[DAILY_FLOW] == {found[0].id} < held[HTTP_FLOW]


async def test_a_managed_solution_takes_nothing(on_wire: Sharing) -> None:
    """The platform refuses, should anybody ask."""
    held = await on_wire.solutions.holding(on_wire.environment, [HTTP_FLOW])
    solutions = await on_wire.solutions.get(on_wire.environment, held[HTTP_FLOW])
    [bought] = [one for one in solutions if one.is_managed]

    with pytest.raises(Refused):
        await on_wire.solutions.add_flow(on_wire.environment, bought, DAILY_FLOW)


async def test_a_flow_in_no_solution_tells_its_description_and_co_owners(
    on_wire: Sharing,
) -> None:
    """Where Dataverse has no row of it, that is all there is to go by."""
    detail = await on_wire.app.reports.get_flow(ENVIRONMENT, BUTTON_FLOW)
    held = await on_wire.app.access.permissions(ENVIRONMENT, BUTTON_FLOW)

    assert detail.description == "Press it"
    assert {(one.principal_id, one.role, one.is_group) for one in held} == {
        (MAKER, "Owner", False),
        (ADMIN, "CanEdit", False),
        (GROUP, "CanView", True),
    }
