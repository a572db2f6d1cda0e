"""Fake of the port `TextRows`: rows that have a text, in tables of Dataverse."""

import builtins

from local_cloud.tenant.core.odata import parse_filter
from shared.domain.environment import Environment
from shared.errors import Conflict, NotFound
from shared.ports import TextColumn, TextRow
from tests.fakes.tenant import FakeRow
from tests.fakes.world import WorldFake


class FakeTextRows(WorldFake):
    async def list(self, environment: Environment, column: TextColumn) -> builtins.list[TextRow]:
        matches, now = parse_filter(column.condition), self._world.clock.now()
        rows = self._world.get_environment(environment.id).rows.get(column.entity_set, {}).values()
        shown = (row.past.find_shown_item(row, now, in_list=True) for row in rows)
        return [
            _build_row(column, row)
            for row in shown
            if row and matches({column.text: None, **row.values})
        ]

    async def read(self, environment: Environment, column: TextColumn, row_id: str) -> TextRow:
        row = self._find(environment, column, row_id)
        shown = row.past.find_shown_item(row, self._world.clock.now())
        assert shown is not None
        return _build_row(column, shown)

    async def write(self, environment: Environment, row: TextRow, text: str) -> None:
        there = self._find(environment, row.column, row.id)
        if row.column.has_row_versions and row.etag != f'W/"{there.version}"':
            raise Conflict("The version of the existing record doesn't match the RowVersion.")
        with self._world.record_write(environment.id, "write row", row.id):
            there.values[row.column.text] = text
            there.version += 1

    def _find(self, environment: Environment, column: TextColumn, row_id: str) -> FakeRow:
        rows = self._world.get_environment(environment.id).rows.get(column.entity_set, {})
        if row_id not in rows:
            raise NotFound(f"{column.entity_set} With Id = {row_id} Does Not Exist")
        return rows[row_id]


def _build_row(column: TextColumn, row: FakeRow) -> TextRow:
    return TextRow(
        column=column,
        id=row.id,
        name=str(row.values[column.name]),
        text=str(row.values.get(column.text) or ""),
        etag=f'W/"{row.version}"' if column.has_row_versions else "",
        others=row.values,
    )
