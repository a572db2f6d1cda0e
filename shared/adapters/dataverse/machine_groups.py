"""Read machine groups for desktop flows from Dataverse's table `flowmachinegroups`.

See platform.md#machine-groups.
"""

from pydantic import Field

from shared.adapters.dataverse.web_api import DataverseAdapter
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.environment import Environment
from shared.ports import MachineGroups

#: `managementtype` of a group of the customer's own machines; all others are hosted.
_OWN_MACHINES = 0


class _Group(Wire):
    name: str = ""
    management_type: int | None = Field(None, alias="managementtype")


class DataverseMachineGroups(DataverseAdapter, MachineGroups):
    """Implements the port `MachineGroups` with Dataverse's Web API."""

    async def read_hosted_groups(self, environment: Environment) -> list[str]:
        select = {"$select": "flowmachinegroupid,name,managementtype"}
        groups = [
            parse_wire(_Group, row)
            async for row in self._dataverse.read_rows(environment, "flowmachinegroups", select)
        ]
        return [group.name for group in groups if group.management_type != _OWN_MACHINES]
