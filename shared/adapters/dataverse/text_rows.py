"""Read and write text columns of Dataverse tables (platform.md#row-versions)."""

from shared.adapters.dataverse.web_api import DataverseAdapter
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.definitions.json_values import as_mapping
from shared.domain.environment import Environment
from shared.errors import TableNotFound
from shared.ports import TextColumn, TextRow, TextRows


class DataverseTextRows(DataverseAdapter, TextRows):
    """Implements the port `TextRows` with Dataverse's Web API."""

    async def list(self, environment: Environment, column: TextColumn) -> list[TextRow]:
        query = {**_build_query(column), "$filter": column.condition}
        try:
            rows = await self._dataverse.read_rows_of_all_queries(
                environment, column.entity_set, [query]
            )
        except TableNotFound:
            return []
        return [_build_row(column, row) for row in rows]

    async def read(self, environment: Environment, column: TextColumn, row_id: str) -> TextRow:
        url = f"{column.entity_set}({row_id})"
        call = ServiceRequest(method="GET", url=url, params=_build_query(column))
        return _build_row(column, await self._dataverse.read(environment, call))

    async def write(self, environment: Environment, row: TextRow, text: str) -> None:
        call = ServiceRequest(
            method="PATCH",
            url=f"{row.column.entity_set}({row.id})",
            # `*` keeps Dataverse from creating a row that was deleted.
            headers={"If-Match": row.etag or "*"},
            body={row.column.text: text},
        )
        await self._dataverse.send(environment, call)


def _build_query(column: TextColumn) -> dict[str, str]:
    columns = (column.key, column.name, column.text, *column.others)
    return {"$select": ",".join(columns)} | ({"$expand": column.expand} if column.expand else {})


def _build_row(column: TextColumn, document: object) -> TextRow:
    values = as_mapping(document)
    named = {name: values.get(name) for name in (column.key, column.name, column.text)}
    row = parse_wire(
        _Row,
        {
            "id": named[column.key],
            "name": named[column.name] or "",
            "text": named[column.text] or "",
            "etag": values.get("@odata.etag", "") if column.has_row_versions else "",
        },
    )
    others = {name: value for name, value in values.items() if name not in named}
    return TextRow(
        column=column,
        id=row.id.lower(),
        name=row.name,
        text=row.text,
        etag=row.etag,
        others=others,
    )


class _Row(Wire):
    id: str
    name: str
    text: str
    etag: str
