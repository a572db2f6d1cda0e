"""The base class of caller kinds whose places are text columns of Dataverse rows."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import ClassVar

from shared.callers.search import SearchedCallers, UnreadableCallers, get_environment_id
from shared.concurrency import read_each
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.environment import Environment
from shared.domain.permissions import IN_DATAVERSE
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import Environments, TextColumn, TextRow, TextRows

type _Reading = tuple[TextColumn, Sequence[TextRow] | PlatformError]


class DataverseRowCallers(SearchedCallers):
    """The base class of caller kinds whose places are text columns of Dataverse rows.

    A subclass names the columns and builds the callers. A caller's address is
    `environment/table/column/row`.
    """

    is_json = False
    old_value_lifetime = timedelta(0)
    required_permissions = IN_DATAVERSE
    columns: ClassVar[tuple[TextColumn, ...]]

    def __init__(self, text_rows: TextRows, environments: Environments) -> None:
        self._rows = text_rows
        self._environments = environments

    @abstractmethod
    def build_callers(self, place: Caller, row: TextRow) -> Iterator[Caller]:
        """Yield the callers in a row, each with the ids that it contains.

        `place` is a caller at the row's address, without ids.
        """

    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        with_dataverse = [one for one in environments if one.dataverse_url]
        readings = unreadable.read_readable_places(
            with_dataverse, get_environment_id, self._read_environment, _format_environment_label
        )
        async with aclosing(readings):
            async for environment, found in readings:
                for column, rows in found:
                    if isinstance(rows, PlatformError):
                        where = f"{column.entity_set} of {_format_environment_label(environment)}"
                        unreadable.record_place(where, rows)
                        continue
                    for row in rows:
                        for caller in self.build_callers(self._build_place(environment, row), row):
                            yield caller

    async def read(self, caller: Caller) -> CallerContent:
        _, row = await self._read_row(caller)
        return CallerContent(text=row.text, etag=_get_etag_or_hash(row))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        environment, row = await self._read_row(caller)
        if row.text == value.text:
            return
        if value.etag != _get_etag_or_hash(row):
            raise Conflict(f"The {caller.label} was changed")
        await self._rows.write(environment, row, value.text)

    async def _read_row(self, caller: Caller) -> tuple[Environment, TextRow]:
        place, entity_set, text, row_id = caller.address.split("/")
        environment = await self._environments.get_cached(place)
        for column in self.columns:
            if (column.entity_set, column.text) == (entity_set, text):
                return environment, await self._rows.read(environment, column, row_id)
        raise NotFound(f"The app no longer reads {entity_set}")

    async def _read_environment(self, environment: Environment) -> list[_Reading]:
        """Return each column with its rows, or with the error of reading it.

        Raises `PlatformError` if no column can be read.
        """

        async def read_column(column: TextColumn) -> _Reading:
            try:
                return column, await self._rows.list(environment, column)
            except PlatformError as err:
                return column, err

        found = await read_each(self.columns, read_column)
        errors = [rows for _, rows in found if isinstance(rows, PlatformError)]
        if len(errors) == len(found):
            raise errors[0]
        return found

    def _build_place(self, environment: Environment, row: TextRow) -> Caller:
        table = row.column.entity_set
        return Caller(
            kind=self.kind,
            address=f"{environment.id}/{table}/{row.column.text}/{row.id}",
            label=row.name,
            resource_id=f"{table}/{environment.id}/{row.id}",
            environment_id=environment.id,
        )


def _format_environment_label(environment: Environment) -> str:
    return f"environment {environment.display_name}"


def _get_etag_or_hash(row: TextRow) -> str:
    return row.etag or hash_texts(row.text)
