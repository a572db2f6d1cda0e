"""Read and write environment variables: definitions with a default, and at most one value each.

See platform.md#environment-variables.
"""

from pydantic import AwareDatetime, Field

from shared.adapters.dataverse.web_api import DataverseAdapter
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.environment import Environment
from shared.errors import Conflict
from shared.ports import EnvironmentVariable, EnvironmentVariables

_DEFINITIONS = "environmentvariabledefinitions"
_VALUES = "environmentvariablevalues"


class _Definition(Wire):
    id: str = Field(alias="environmentvariabledefinitionid")
    schemaname: str
    defaultvalue: str | None = None
    modifiedon: AwareDatetime | None = None
    etag: str = Field("", alias="@odata.etag")


class _Value(Wire):
    id: str = Field(alias="environmentvariablevalueid")
    value: str | None = None
    definition: str = Field("", alias="_environmentvariabledefinitionid_value")
    modifiedon: AwareDatetime | None = None
    etag: str = Field("", alias="@odata.etag")


class DataverseEnvironmentVariables(DataverseAdapter, EnvironmentVariables):
    """Implements the port `EnvironmentVariables` with Dataverse's Web API."""

    async def list(self, environment: Environment) -> list[EnvironmentVariable]:
        """Return all environment variables.

        Reads definitions and values as two lists, because `$expand` would not return the ETags of
        both.
        """
        columns = (
            "environmentvariablevalueid,value,_environmentvariabledefinitionid_value,modifiedon"
        )
        select = {"$select": columns}
        values = {}
        async for row in self._dataverse.read_rows(environment, _VALUES, select):
            value = parse_wire(_Value, row)
            values[value.definition.lower()] = value
        columns = "environmentvariabledefinitionid,schemaname,defaultvalue,modifiedon"
        select = {"$select": columns}
        variables = []
        async for row in self._dataverse.read_rows(environment, _DEFINITIONS, select):
            definition = parse_wire(_Definition, row)
            variables.append(_build_variable(definition, values.get(definition.id.lower())))
        return variables

    async def write_value(
        self, environment: Environment, value_id: str, value: str, *, etag: str
    ) -> None:
        await self._update_row(environment, f"{_VALUES}({value_id})", {"value": value}, etag)

    async def write_default(
        self, environment: Environment, definition_id: str, value: str, *, etag: str
    ) -> None:
        row = f"{_DEFINITIONS}({definition_id})"
        await self._update_row(environment, row, {"defaultvalue": value}, etag)

    async def _update_row(
        self, environment: Environment, row: str, body: dict[str, str], etag: str
    ) -> None:
        if not etag:
            raise Conflict("The variable must be read before it is written")
        call = ServiceRequest(method="PATCH", url=row, headers={"If-Match": etag}, body=body)
        await self._dataverse.send(environment, call)


def _build_variable(definition: _Definition, value: _Value | None) -> EnvironmentVariable:
    return EnvironmentVariable(
        definition_id=definition.id.lower(),
        schema_name=definition.schemaname,
        value_id=value.id.lower() if value else None,
        value=value.value if value else None,
        default_value=definition.defaultvalue,
        value_etag=value.etag if value else "",
        definition_etag=definition.etag,
        value_modified_at=value.modifiedon if value else None,
        definition_modified_at=definition.modifiedon,
    )
