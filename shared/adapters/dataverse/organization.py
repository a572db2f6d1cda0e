"""Read a Dataverse's organization row and the names of its users and teams.

See platform.md#solution-by-default.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import batched

from pydantic import Field

from shared.adapters.dataverse.web_api import IDS_IN_A_FILTER, Dataverse, filter_by_ids
from shared.adapters.http.wire import Wire, read_wire
from shared.domain.definitions.json_values import as_mapping, text_at
from shared.domain.environment import Environment
from shared.errors import ServiceUnavailable
from shared.ports import Organization


class _Organization(Wire):
    flows_in_solution: bool | None = Field(None, alias="enableflowsinsolutionbydefault")


@dataclass(frozen=True, slots=True)
class _People:
    """A table of possible owners: users or teams."""

    table: str
    key: str
    name: str


_USERS = _People("systemusers", "systemuserid", "fullname")
_TEAMS = _People("teams", "teamid", "name")


class DataverseOrganization(Organization):
    """`Organization` by Dataverse's Web API."""

    def __init__(self, dataverse: Dataverse) -> None:
        """Send requests by `dataverse`."""
        self._dataverse = dataverse

    async def creates_flows_in_solutions(self, environment: Environment) -> bool:
        """Return whether new flows are created in a solution; raise `ServiceUnavailable` if
        unknown.
        """
        select = {"$select": "organizationid,enableflowsinsolutionbydefault"}
        async for row in self._dataverse.rows(environment, "organizations", select):
            setting = read_wire(_Organization, row).flows_in_solution
            if setting is not None:
                return setting
        raise ServiceUnavailable("Dataverse returned no enableflowsinsolutionbydefault")

    async def names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of users and teams by id; skip unknown ids."""
        names = await self._names(environment, _USERS, ids)
        others = {one.lower() for one in ids} - names.keys()
        return names | await self._names(environment, _TEAMS, others)

    async def _names(
        self, environment: Environment, table: _People, ids: Collection[str]
    ) -> dict[str, str]:
        names: dict[str, str] = {}
        for some in batched(sorted(set(ids)), IDS_IN_A_FILTER, strict=False):
            query = {
                "$select": f"{table.key},{table.name}",
                "$filter": filter_by_ids(table.key, some),
            }
            async for row in self._dataverse.rows(environment, table.table, query):
                columns = as_mapping(row)
                if identity := text_at(columns, table.key):
                    names[identity.lower()] = text_at(columns, table.name) or identity
        return names
