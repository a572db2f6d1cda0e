"""The organization row and the users of a Dataverse (contract §6.6)."""

from collections.abc import Sequence
from itertools import batched

from pydantic import Field

from shared.adapters.dataverse import Dataverse
from shared.adapters.wire import Wire, read_wire
from shared.domain.environment import Environment
from shared.errors import Unavailable
from shared.ports import Organization

#: Ids in one filter: its address stays below 2,000 characters.
_IDS = 25


class _Organization(Wire):
    flows_in_solution: bool | None = Field(None, alias="enableflowsinsolutionbydefault")


class _User(Wire):
    id: str = Field(alias="systemuserid")
    name: str | None = Field(None, alias="fullname")


class DataverseOrganization(Organization):
    """`Organization` by Dataverse's Web API."""

    def __init__(self, dataverse: Dataverse) -> None:
        """Call through `dataverse`."""
        self._dataverse = dataverse

    async def creates_flows_in_solutions(self, environment: Environment) -> bool:
        """Say whether new flows are made in a solution; raises `Unavailable` if it is not told."""
        select = {"$select": "organizationid,enableflowsinsolutionbydefault"}
        async for row in self._dataverse.rows(environment, "organizations", select):
            setting = read_wire(_Organization, row).flows_in_solution
            if setting is not None:
                return setting
        raise Unavailable("Dataverse does not tell enableflowsinsolutionbydefault")

    async def names(self, environment: Environment, user_ids: Sequence[str]) -> dict[str, str]:
        """Return names of users by `systemuserid`; unknown ones are left out."""
        names: dict[str, str] = {}
        for ids in batched(sorted(set(user_ids)), _IDS, strict=False):
            query = {
                "$select": "systemuserid,fullname",
                "$filter": " or ".join(f"systemuserid eq {one}" for one in ids),
            }
            async for row in self._dataverse.rows(environment, "systemusers", query):
                user = read_wire(_User, row)
                names[user.id.lower()] = user.name or user.id
        return names
