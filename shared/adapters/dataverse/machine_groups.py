"""Machine groups for desktop flows: rows of Dataverse's `flowmachinegroups`.

See platform.md#machine-groups.
"""

from pydantic import Field

from shared.adapters.dataverse.web_api import Dataverse
from shared.adapters.http.wire import Wire, read_wire
from shared.domain.environment import Environment
from shared.ports import MachineGroups

#: `managementtype` of a group of machines that a customer runs; any other is hosted.
_OWN_MACHINES = 0


class _Group(Wire):
    name: str = ""
    management_type: int | None = Field(None, alias="managementtype")


class DataverseMachineGroups(MachineGroups):
    """`MachineGroups` by Dataverse's Web API."""

    def __init__(self, dataverse: Dataverse) -> None:
        """Call through `dataverse`."""
        self._dataverse = dataverse

    async def hosted(self, environment: Environment) -> list[str]:
        """Return the titles of hosted groups; one whose type is not shown is taken for hosted."""
        select = {"$select": "flowmachinegroupid,name,managementtype"}
        groups = [
            read_wire(_Group, row)
            async for row in self._dataverse.rows(environment, "flowmachinegroups", select)
        ]
        return [group.name for group in groups if group.management_type != _OWN_MACHINES]
