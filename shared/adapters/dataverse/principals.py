"""Find the users and teams of an environment's Dataverse by their Entra ids."""

from collections.abc import AsyncIterator, Sequence

from pydantic import Field

from shared.adapters.dataverse.web_api import DataverseAdapter, build_queries_by_id
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.environment import Environment
from shared.domain.sharing import TEAMS, USERS, DataversePrincipal, DataverseUser
from shared.errors import NotFound
from shared.ports import PrincipalDirectory

_ENTRA_ID = "azureactivedirectoryobjectid"
_USER_COLUMNS = f"systemuserid,{_ENTRA_ID},fullname,isdisabled"
_TEAM_COLUMNS = f"teamid,{_ENTRA_ID},membershiptype"


class _User(Wire):
    id: str = Field(alias="systemuserid")
    entra_id: str | None = Field(None, alias=_ENTRA_ID)
    name: str | None = Field(None, alias="fullname")
    is_disabled: bool = Field(False, alias="isdisabled")

    def to_domain(self) -> DataverseUser:
        return DataverseUser(
            principal=DataversePrincipal(table=USERS, id=self.id.lower()),
            name=self.name or self.id,
            is_disabled=self.is_disabled,
        )


class _Team(Wire):
    id: str = Field(alias="teamid")
    entra_id: str = Field("", alias=_ENTRA_ID)
    #: 0: members and guests, 1: members, 2: owners, 3: guests.
    membership: int | None = Field(None, alias="membershiptype")


class _WhoAmI(Wire):
    user_id: str = Field(alias="UserId")


class _Privilege(Wire):
    depth: str = Field(alias="Depth")


class _Privileges(Wire):
    privileges: tuple[_Privilege, ...] = Field((), alias="RolePrivileges")


class DataversePrincipalDirectory(DataverseAdapter, PrincipalDirectory):
    """Implements the port `PrincipalDirectory` with Dataverse's Web API."""

    async def read_users(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataverseUser]:
        found: dict[str, DataverseUser] = {}
        async for row in self._read_rows(environment, "systemusers", _USER_COLUMNS, entra_ids):
            user = parse_wire(_User, row)
            found[(user.entra_id or "").lower()] = user.to_domain()
        return found

    async def read_teams(
        self, environment: Environment, entra_ids: Sequence[str]
    ) -> dict[str, DataversePrincipal]:
        """Return the widest team of each Entra group, by the group's object id in lower case.

        A group can have separate teams for all its members and guests, for members, for guests and
        for owners. A flow is shared with the whole group.
        """
        teams = [
            parse_wire(_Team, row)
            async for row in self._read_rows(environment, "teams", _TEAM_COLUMNS, entra_ids)
        ]
        widest_last = sorted(teams, key=lambda team: team.membership or 0, reverse=True)
        return {
            team.entra_id.lower(): DataversePrincipal(table=TEAMS, id=team.id.lower())
            for team in widest_last
        }

    async def read_user(self, environment: Environment, user_id: str) -> DataverseUser | None:
        call = ServiceRequest(
            method="GET", url=f"systemusers({user_id})", params={"$select": _USER_COLUMNS}
        )
        try:
            document = await self._dataverse.read(environment, call)
        except NotFound:
            return None
        return parse_wire(_User, document).to_domain()

    async def read_application_user(self, environment: Environment) -> DataversePrincipal:
        document = await self._dataverse.read(
            environment, ServiceRequest(method="GET", url="WhoAmI")
        )
        return DataversePrincipal(table=USERS, id=parse_wire(_WhoAmI, document).user_id.lower())

    async def read_privilege_levels(
        self, environment: Environment, user_id: str, name: str
    ) -> frozenset[str]:
        function = (
            f"Microsoft.Dynamics.CRM.RetrieveUserPrivilegeByPrivilegeName(PrivilegeName='{name}')"
        )
        call = ServiceRequest(method="GET", url=f"systemusers({user_id})/{function}")
        found = parse_wire(_Privileges, await self._dataverse.read(environment, call))
        return frozenset(one.depth for one in found.privileges)

    async def _read_rows(
        self, environment: Environment, table: str, columns: str, entra_ids: Sequence[str]
    ) -> AsyncIterator[object]:
        ids = (one.lower() for one in entra_ids)
        for query in build_queries_by_id(columns, _ENTRA_ID, ids):
            async for row in self._dataverse.read_rows(environment, table, query):
                yield row
