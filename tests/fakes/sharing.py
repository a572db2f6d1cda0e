"""Fakes of the ports `FlowSharing` and `PrincipalDirectory`.

For a flow in a solution, the co-owners in the flow service and the shares in Dataverse are the same
list. A flow outside solutions has co-owners in the flow service only.

See platform.md#flow-permissions, #dataverse-sharing.
"""

from collections.abc import Sequence

from shared.domain.environment import Environment
from shared.domain.flow import FlowPermission
from shared.domain.sharing import (
    TEAMS,
    USERS,
    DataversePrincipal,
    DataverseUser,
    Share,
    list_rights,
)
from shared.errors import CmkflowError, NotFound, PlatformError
from tests.fakes.tenant import FakeFlow, FakeUser
from tests.fakes.world import World, WorldFake


def build_user_row(user: FakeUser) -> DataversePrincipal:
    return DataversePrincipal(table=USERS, id=user.user_id)


def list_shares(world: World, flow: FakeFlow) -> dict[DataversePrincipal, frozenset[str]]:
    if not flow.in_solution:
        return {}
    by_role = {
        _build_principal_row(world, entra_id): list_rights(role)
        for entra_id, role in flow.co_owners.items()
    }
    return by_role | flow.shares


def list_permissions(world: World, flow: FakeFlow) -> list[FlowPermission]:
    """Return the permissions of a flow in the flow service, the owner's first."""
    roles = {world.get_entra_id(flow.owner_id): "Owner"} | flow.co_owners
    for principal, rights in flow.shares.items():
        entra_id = _find_entra_id(world, principal)
        if entra_id:
            roles[entra_id] = "CanEdit" if "WriteAccess" in rights else "CanView"
    groups = {team.entra_id for team in world.teams.values()}
    return [
        FlowPermission(
            principal_id=who,
            role=role,
            principal_type="Group" if who in groups else "User",
        )
        for who, role in roles.items()
    ]


def is_co_owned(world: World, flow: FakeFlow) -> bool:
    """Return whether the flow is shared with the service account, in the flow service or in
    Dataverse.
    """
    operator = world.operator
    return operator.entra_id in flow.co_owners or build_user_row(operator) in flow.shares


def _build_principal_row(world: World, entra_id: str) -> DataversePrincipal:
    for team in world.teams.values():
        if team.entra_id == entra_id:
            return DataversePrincipal(table=TEAMS, id=team.team_id)
    return build_user_row(world.get_user_by_entra_id(entra_id))


def _find_entra_id(world: World, principal: DataversePrincipal) -> str | None:
    if principal.table == TEAMS:
        return world.teams[principal.id].entra_id
    return world.get_user(principal.id).entra_id


class FakeFlowSharing(WorldFake):
    async def list(self, environment: Environment, workflow_id: str) -> list[Share]:
        flow = self._world.get_shown_workflow(environment.id, workflow_id)
        return [
            Share(principal=principal, rights=rights)
            for principal, rights in list_shares(self._world, flow).items()
        ]

    async def list_shares_by_flow(
        self, environment: Environment, workflow_ids: Sequence[str]
    ) -> dict[str, Sequence[Share] | CmkflowError]:
        found: dict[str, Sequence[Share] | CmkflowError] = {}
        for workflow_id in workflow_ids:
            try:
                found[workflow_id] = await self.list(environment, workflow_id)
            except CmkflowError as err:
                found[workflow_id] = err
        return found

    async def grant(self, environment: Environment, workflow_id: str, share: Share) -> None:
        flow = self._world.get_workflow(environment.id, workflow_id)
        held = list_shares(self._world, flow).get(share.principal, frozenset())
        self._set_rights(flow, share.principal, held | share.rights)

    async def modify(self, environment: Environment, workflow_id: str, share: Share) -> None:
        flow = self._world.get_workflow(environment.id, workflow_id)
        self._set_rights(flow, share.principal, share.rights)

    async def revoke(
        self, environment: Environment, workflow_id: str, principal: DataversePrincipal
    ) -> None:
        world, flow = self._world, self._world.get_workflow(environment.id, workflow_id)
        if principal in list_shares(world, flow):
            with world.record_write(environment.id, "unshare workflow", workflow_id):
                flow.shares.pop(principal, None)
                flow.co_owners.pop(_find_entra_id(world, principal) or "", None)

    def _set_rights(
        self, flow: FakeFlow, principal: DataversePrincipal, rights: frozenset[str]
    ) -> None:
        world = self._world
        known = world.users if principal.table == USERS else world.teams
        if principal.id not in known:
            raise NotFound(f"{principal.table} With Id = {principal.id} Does Not Exist")
        if principal.table == USERS and world.get_user(principal.id).is_disabled:
            raise PlatformError("The specified user is disabled.", code="0x80040225", status=403)
        if not world.may_share:
            raise PlatformError("missing prvShareWorkflow privilege", code="0x80040220", status=403)
        with world.record_write(flow.environment_id, "share workflow", flow.workflow_id):
            flow.shares[principal] = rights


class FakePrincipals(WorldFake):
    """Implements `PrincipalDirectory`. Every environment has all users and teams of the `World`."""

    async def read_users(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataverseUser]:
        wanted = {one.lower() for one in entra_ids}
        return {
            user.entra_id: _build_shown_user(user)
            for user in self._world.users.values()
            if user.entra_id in wanted
        }

    async def read_teams(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataversePrincipal]:
        wanted = {one.lower() for one in entra_ids}
        return {
            team.entra_id: DataversePrincipal(table=TEAMS, id=team.team_id)
            for team in self._world.teams.values()
            if team.entra_id in wanted
        }

    async def read_user(self, environment: Environment, user_id: str) -> DataverseUser | None:
        user = self._world.users.get(user_id)
        return _build_shown_user(user) if user else None

    async def read_application_user(self, environment: Environment) -> DataversePrincipal:
        return build_user_row(self._world.application)

    async def read_privilege_levels(
        self, environment: Environment, user_id: str, name: str
    ) -> frozenset[str]:
        world = self._world
        if user_id in world.without_roles:
            return frozenset()
        if user_id != world.application.user_id:
            return frozenset() if name == _TO_ACT else frozenset({"Basic"})
        refused = {_TO_ACT: not world.may_act_on_behalf, "prvShareWorkflow": not world.may_share}
        return frozenset() if refused.get(name) else frozenset({"Global"})


_TO_ACT = "prvActOnBehalfOfAnotherUser"


def _build_shown_user(user: FakeUser) -> DataverseUser:
    return DataverseUser(
        principal=build_user_row(user), name=user.name, is_disabled=user.is_disabled
    )
