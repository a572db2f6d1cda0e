"""Read and create connection references in Dataverse (platform.md#connection-references).

A reference is created *on behalf of the flow's owner*, who then owns it, because only users with a
permission on the connection may use it.
"""

from collections.abc import Collection

from pydantic import Field

from shared.adapters.dataverse.web_api import DataverseAdapter
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.definitions.connection_reference import (
    ConnectionReference,
    ConnectionReferenceDraft,
)
from shared.domain.environment import Environment
from shared.ports import ConnectionReferences

_TABLE = "connectionreferences"
_COLUMNS = (
    "connectionreferenceid,connectionreferencelogicalname,connectorid,connectionid,_ownerid_value"
)


class _Reference(Wire):
    connectionreferenceid: str
    connectionreferencelogicalname: str
    connectorid: str | None = None
    connectionid: str | None = None
    owner: str | None = Field(None, alias="_ownerid_value")

    def to_domain(self) -> ConnectionReference:
        return ConnectionReference(
            reference_id=self.connectionreferenceid.lower(),
            logical_name=self.connectionreferencelogicalname,
            connector_id=self.connectorid or "",
            connection_id=self.connectionid or "",
            owner_id=self.owner or "",
        )


class DataverseConnectionReferences(DataverseAdapter, ConnectionReferences):
    """Implements the port `ConnectionReferences` with Dataverse's Web API."""

    async def find_by_connection(
        self, environment: Environment, connection_ids: Collection[str]
    ) -> list[ConnectionReference]:
        return await self._read_references_where(environment, "connectionid", connection_ids)

    async def find_by_name(
        self, environment: Environment, logical_names: Collection[str]
    ) -> list[ConnectionReference]:
        return await self._read_references_where(
            environment, "connectionreferencelogicalname", logical_names
        )

    async def _read_references_where(
        self, environment: Environment, column: str, values: Collection[str]
    ) -> list[ConnectionReference]:
        names = (name.replace("'", "''") for name in values)
        wanted = " or ".join(f"{column} eq '{name}'" for name in names)
        params = {"$filter": wanted, "$select": _COLUMNS}
        return [
            parse_wire(_Reference, row).to_domain()
            async for row in self._dataverse.read_rows(environment, _TABLE, params)
        ]

    async def get(self, environment: Environment, reference_id: str) -> ConnectionReference:
        call = ServiceRequest(
            method="GET", url=_format_row_path(reference_id), params={"$select": _COLUMNS}
        )
        return parse_wire(_Reference, await self._dataverse.read(environment, call)).to_domain()

    async def create(self, environment: Environment, draft: ConnectionReferenceDraft) -> None:
        body = {
            "connectionreferencelogicalname": draft.logical_name,
            "connectionreferencedisplayname": draft.display_name,
            "description": draft.description,
            "connectorid": draft.connector_id,
        }
        if draft.connection_id:
            body["connectionid"] = draft.connection_id
        headers = {"If-None-Match": "*"}
        if draft.owner_id:
            caller = "CallerObjectId" if draft.owner_is_entra_id else "MSCRMCallerID"
            headers[caller] = draft.owner_id
        row = _format_row_path(draft.reference_id)
        call = ServiceRequest(method="PATCH", url=row, headers=headers, body=body)
        await self._dataverse.send(environment, call)


def _format_row_path(reference_id: str) -> str:
    return f"{_TABLE}({reference_id})"
