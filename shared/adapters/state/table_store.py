"""Store state in the tables of a storage account.

azure-data-tables is imported only when a store is created, because an app with SQLite does not need
it. Every write is a transaction, even of one row, so that there is only one code path.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)

from shared.adapters.http.errors import parse_retry_after
from shared.adapters.http.storage_key import get_storage_error_code, is_key_unusable
from shared.adapters.state.table_limits import (
    require_valid_batch,
    require_valid_conditions,
    require_valid_entity_key,
)
from shared.errors import (
    AlreadyExists,
    CmkflowError,
    Conflict,
    NotFound,
    PlatformError,
    ServiceUnavailable,
    StorageKeyUnusable,
    ThrottledError,
)
from shared.ports import (
    Condition,
    DeleteRow,
    InsertRow,
    Operation,
    ReplaceRow,
    Scalar,
    Store,
    StoreRow,
    UpsertRow,
)

if TYPE_CHECKING:
    from azure.data.tables.aio import TableServiceClient

_NO_TABLE = "TableNotFound"
#: Tables of the Functions host in the same account.
_OF_THE_HOST = ("AzureFunctions", "AzureWebJobs")


def build_table_service(
    account: str, domain: str, credential: AsyncTokenCredential, answered: Callable[[Any], None]
) -> "TableServiceClient":
    """Return a client for a storage account, by its name and its cloud's `domain`.

    `answered` is called with each response before it is read.
    """
    from azure.data.tables.aio import TableServiceClient

    endpoint = f"https://{account}.table.{domain}"
    return TableServiceClient(endpoint, credential=credential, raw_response_hook=answered)


class TableStore(Store):
    """Implements the port `Store` with Azure Table storage."""

    def __init__(self, service: "TableServiceClient") -> None:
        """Take ownership of `service`. Tables are created on the first write."""
        self._service = service

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        require_valid_entity_key(table, partition, key)
        with _translate_errors(table):
            try:
                entity = await self._service.get_table_client(table).get_entity(partition, key)
            except ResourceNotFoundError:
                return None
        return _build_row(table, entity)

    async def list_tables(self) -> list[str]:
        """Return the names of the app's tables, sorted."""
        with _translate_errors(""):
            names = [table.name async for table in self._service.list_tables()]
        return sorted(name for name in names if not name.startswith(_OF_THE_HOST))

    async def write(self, *operations: Operation) -> list[StoreRow]:
        require_valid_batch(operations)
        table = operations[0].row.table
        batch = [_build_wire_operation(operation) for operation in operations]
        client = self._service.get_table_client(table)
        with _translate_errors(table, operations):
            try:
                done = await client.submit_transaction(batch)
            except HttpResponseError as err:
                if get_storage_error_code(err) != _NO_TABLE:
                    raise
                await self._service.create_table_if_not_exists(table)
                done = await client.submit_transaction(batch)
        return [
            operation.row
            if isinstance(operation, DeleteRow)
            else replace(operation.row, etag=str(result["etag"]))
            for operation, result in zip(operations, done, strict=True)
        ]

    async def query(
        self,
        table: str,
        partition: str | None = None,
        *,
        where: Sequence[Condition] = (),
        before: str | None = None,
        after: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[StoreRow]:
        require_valid_entity_key(table, partition or "", before)
        require_valid_entity_key(table, partition or "", after)
        require_valid_conditions(where)
        parts = [] if partition is None else [f"PartitionKey eq {_format_literal(partition)}"]
        parts += [] if before is None else [f"RowKey lt {_format_literal(before)}"]
        parts += [] if after is None else [f"RowKey gt {_format_literal(after)}"]
        parts += [f"{each.column} {each.op} {_format_literal(each.value)}" for each in where]
        client = self._service.get_table_client(table)
        found = client.query_entities(" and ".join(parts), results_per_page=page_size)
        with _translate_errors(table):
            try:
                async for entity in found:
                    yield _build_row(table, entity)
            except ResourceNotFoundError:
                return


def _build_wire_operation(operation: Operation) -> tuple[str, dict[str, Any], dict[str, Any]]:
    from azure.core import MatchConditions
    from azure.data.tables import EdmType, EntityProperty, UpdateMode

    row = operation.row
    entity: dict[str, Any] = {"PartitionKey": row.partition, "RowKey": row.key}
    if not isinstance(operation, DeleteRow):
        for name, value in row.columns.items():
            # Integers always have 64 bits, so that comparisons work.
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            entity[name] = EntityProperty(value, EdmType.INT64) if is_whole else value
    same = {"etag": row.etag, "match_condition": MatchConditions.IfNotModified}
    match operation:
        case InsertRow():
            return "create", entity, {}
        case ReplaceRow():
            return "update", entity, {"mode": UpdateMode.REPLACE, **same}
        case UpsertRow():
            return "upsert", entity, {"mode": UpdateMode.REPLACE}
        case DeleteRow():
            return "delete", entity, same if row.etag else {}


def _build_row(table: str, entity: Mapping[str, Any]) -> StoreRow:
    from azure.data.tables import EntityProperty

    metadata = entity.metadata  # type: ignore[attr-defined]  # a TableEntity, typed as a mapping
    columns = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey", "Timestamp")
    }
    return StoreRow(
        table=table,
        partition=str(entity["PartitionKey"]),
        key=str(entity["RowKey"]),
        columns=columns,
        etag=str(metadata["etag"]),
    )


def _format_literal(value: Scalar) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value}L"
        case float():
            return repr(value)
        case _:
            return "'" + value.replace("'", "''") + "'"


@contextmanager
def _translate_errors(table: str, operations: Sequence[Operation] = ()) -> Iterator[None]:
    try:
        yield
    except HttpResponseError as err:
        raise _build_error(table, operations, err) from err
    except AzureError as err:
        raise ServiceUnavailable(f"Cannot connect to table {table}: {err.message}") from err


def _build_error(
    table: str, operations: Sequence[Operation], err: HttpResponseError
) -> CmkflowError:
    status, code = err.status_code or 0, get_storage_error_code(err)
    if is_key_unusable(status, code):
        return StorageKeyUnusable(code)
    index = int(getattr(err, "index", 0))
    operation = operations[index] if index < len(operations) else None
    name = f"{table} {operation.row.partition} {operation.row.key}" if operation else table
    match status:
        case 409 if isinstance(operation, InsertRow):
            return AlreadyExists(f"row {name} exists")
        case 404 if isinstance(operation, DeleteRow):
            return NotFound(f"row {name} does not exist")
        case 404 | 412:
            return Conflict(f"row {name} was changed since it was read")
        case 429:
            wait = parse_retry_after(getattr(err.response, "headers", {}))
            return ThrottledError(f"table {table} is busy", retry_after=wait)
        case 0 if isinstance(err, ClientAuthenticationError):  # no token, so no request
            return ServiceUnavailable(f"Cannot sign in for table {table}: {err.message}")
        case 0 | 408:
            return ServiceUnavailable(f"table {table}: no response")
        case _ if status >= 500:
            return ServiceUnavailable(f"table {table} is busy")
        case _:
            return PlatformError(f"table {table}: {err.reason}", code=code, status=status)
