"""Read and write the organization row of an environment's Dataverse, and read names of its users
and teams.

See platform.md#solution-by-default.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import Field

from shared.adapters.dataverse.web_api import DataverseAdapter, build_queries_by_id
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.definitions.json_values import as_mapping, text_at
from shared.domain.environment import Environment
from shared.domain.solution_setting import SolutionSetting
from shared.errors import ServiceUnavailable
from shared.ports import Organization

_SETTING = "enableflowsinsolutionbydefault"


class _Organization(Wire):
    id: str = Field(alias="organizationid")
    flows_in_solution: bool | None = Field(None, alias=_SETTING)


@dataclass(frozen=True, slots=True)
class _People:
    table: str
    key: str
    name: str


_USERS = _People("systemusers", "systemuserid", "fullname")
_TEAMS = _People("teams", "teamid", "name")


class DataverseOrganization(DataverseAdapter, Organization):
    """Implements the port `Organization` with Dataverse's Web API."""

    async def read_solution_setting(self, environment: Environment) -> SolutionSetting:
        """Return the environment's setting that creates new flows in a solution.

        Raises `ServiceUnavailable` if Dataverse returns no organization row.
        """
        select = {"$select": f"organizationid,{_SETTING}"}
        async for row in self._dataverse.read_rows(environment, "organizations", select):
            found = parse_wire(_Organization, row)
            return SolutionSetting(organization_id=found.id.lower(), is_on=found.flows_in_solution)
        raise ServiceUnavailable("Dataverse returned no organization")

    async def write_solution_setting(
        self, environment: Environment, organization_id: str, *, is_on: bool | None
    ) -> None:
        """Change the environment's setting that creates new flows in a solution.

        Sends `If-Match: *`, so that Dataverse does not create an organization row.
        """
        call = ServiceRequest(
            method="PATCH",
            url=f"organizations({organization_id})",
            headers={"If-Match": "*"},
            body={_SETTING: is_on},
        )
        await self._dataverse.send(environment, call)

    async def read_names(self, environment: Environment, ids: Sequence[str]) -> dict[str, str]:
        names = await self._read_names_in_table(environment, _USERS, ids)
        others = {one.lower() for one in ids} - names.keys()
        return names | await self._read_names_in_table(environment, _TEAMS, others)

    async def _read_names_in_table(
        self, environment: Environment, table: _People, ids: Collection[str]
    ) -> dict[str, str]:
        names: dict[str, str] = {}
        for query in build_queries_by_id(f"{table.key},{table.name}", table.key, ids):
            async for row in self._dataverse.read_rows(environment, table.table, query):
                columns = as_mapping(row)
                if identity := text_at(columns, table.key):
                    names[identity.lower()] = text_at(columns, table.name) or identity
        return names
