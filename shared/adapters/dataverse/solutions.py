"""Read the solutions of an environment's Dataverse, and add flows to solutions
(platform.md#solutions).
"""

from collections.abc import Collection
from itertools import batched

from pydantic import Field

from shared.adapters.dataverse.web_api import (
    IDS_IN_A_FILTER,
    DataverseAdapter,
    build_queries_by_id,
    filter_by_ids,
)
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.environment import Environment
from shared.domain.solution import Solution
from shared.ports import Solutions

#: Component type of the table `workflow`.
_WORKFLOW = 29


class _Component(Wire):
    flow: str = Field(alias="objectid")
    solution: str = Field("", alias="_solutionid_value")


class _Solution(Wire):
    id: str = Field(alias="solutionid")
    unique_name: str = Field(alias="uniquename")
    title: str | None = Field(None, alias="friendlyname")
    is_managed: bool = Field(False, alias="ismanaged")

    def to_domain(self) -> Solution:
        return Solution(
            id=self.id.lower(),
            unique_name=self.unique_name,
            title=self.title or self.unique_name,
            is_managed=self.is_managed,
        )


class DataverseSolutions(DataverseAdapter, Solutions):
    """Implements the port `Solutions` with Dataverse's Web API."""

    async def read_solution_ids(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {one.lower(): set() for one in workflow_ids}
        queries = [
            {
                "$select": "objectid,_solutionid_value",
                "$filter": f"componenttype eq {_WORKFLOW} and ({filter_by_ids('objectid', ids)})",
            }
            for ids in batched(sorted(found), IDS_IN_A_FILTER, strict=False)
        ]
        for row in await self._dataverse.read_rows_of_all_queries(
            environment, "solutioncomponents", queries
        ):
            component = parse_wire(_Component, row)
            found[component.flow.lower()].add(component.solution.lower())
        return {flow: frozenset(solutions) for flow, solutions in found.items()}

    async def get(self, environment: Environment, solution_ids: Collection[str]) -> list[Solution]:
        columns = "solutionid,uniquename,friendlyname,ismanaged"
        queries = build_queries_by_id(columns, "solutionid", solution_ids)
        rows = await self._dataverse.read_rows_of_all_queries(environment, "solutions", queries)
        return [parse_wire(_Solution, row).to_domain() for row in rows]

    async def add_flow(
        self, environment: Environment, solution: Solution, workflow_id: str
    ) -> None:
        body = {
            "ComponentId": workflow_id,
            "ComponentType": _WORKFLOW,
            "SolutionUniqueName": solution.unique_name,
            "AddRequiredComponents": False,
        }
        await self._dataverse.send(
            environment, ServiceRequest(method="POST", url="AddSolutionComponent", body=body)
        )
