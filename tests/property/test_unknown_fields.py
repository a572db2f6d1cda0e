"""Test that this release keeps the fields that a newer release has stored in rows."""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.environment import ApprovalPolicy
from shared.errors import UnreadableRow
from shared.jobs.fenced_rows import FencedRows
from shared.ports import StoreRow
from shared.state.rows import FENCE, StoredItem, Table, get_stored_text
from shared.state.tables import Tables
from tests.fakes.memory_store import MemoryStore
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.property.examples import count_examples
from tests.unit.test_stored_rows import read_stored_rows

#: Contains no character of a name in this release.
NAME = "field-of-a-newer-release"

type Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    row: StoreRow
    path: Path


def list_objects(document: Any, path: Path = ()) -> Iterator[Path]:
    match document:
        case dict():
            yield path
            for name, value in document.items():
                yield from list_objects(value, (*path, name))
        case list():
            for index, value in enumerate(document):
                yield from list_objects(value, (*path, index))


def get_part(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def add_field(place: Place, value: object) -> StoreRow:
    document = json.loads(get_stored_text(place.row))
    get_part(document, place.path)[NAME] = value
    text = json.dumps(document)
    return replace(place.row, columns={**place.row.columns, "data0": text, "chunks": 1})


@cache
def list_places() -> dict[str, list[Place]]:
    """Return all places at which the app keeps an unknown field, by table."""
    tables = {table.name: table for table in Tables(MemoryStore())}
    places: dict[str, list[Place]] = {}
    for row in read_stored_rows(1):
        if row.table not in tables or row.key == FENCE:
            continue
        for path in list_objects(json.loads(get_stored_text(row))):
            place = Place(row, path)
            try:
                kept = tables[row.table].parse_row(add_field(place, 1))
            except UnreadableRow:  # a mapping whose values have a type
                continue
            if kept.unknown:
                places.setdefault(row.table, []).append(place)
    return places


def change_member[T](table: Table[T], item: T, names: set[str]) -> T:
    for one in fields(item):  # type: ignore[arg-type]  # every item is a dataclass
        value = getattr(item, one.name)
        if one.name in names or not one.init:
            continue
        match value:
            case bool():
                other: object = not value
            case int():
                other = value + 1
            case datetime():
                other = value + timedelta(hours=1)
            case str() if type(value) is str:
                other = f"{value}y"
            case _:
                continue
        changed: T = replace(item, **{one.name: other})  # type: ignore[type-var]
        if table.get_address(changed) == table.get_address(item):
            return changed
    return item


async def replace_one(table: Table[Any], kept: StoredItem[Any], item: Any) -> None:
    """Replace a row twice in succession, as a job does in one invocation."""
    await table.replace(await table.replace(kept, kept.item), item)


async def replace_some(table: Table[Any], kept: StoredItem[Any], item: Any) -> None:
    async for _, is_stored in table.replace_many([(kept, item)]):
        assert is_stored


async def change_row(table: Table[Any], _kept: StoredItem[Any], item: Any) -> None:
    await table.change(*table.get_address(item), lambda _: item)


async def upsert(table: Table[Any], _kept: StoredItem[Any], item: Any) -> None:
    """Overwrite a row without its ETag."""
    await table.upsert(item)


async def upsert_fenced(table: Table[Any], _kept: StoredItem[Any], item: Any) -> None:
    await FencedRows(table, table.get_address(item)[0]).upsert(item)


WAYS = [replace_one, replace_some, change_row, upsert, upsert_fenced]


@pytest.mark.parametrize("table_name", [table.name for table in Tables(MemoryStore())])
@settings(max_examples=count_examples(30))
@given(data=st.data())
async def test_unknown_field_survives_a_change(table_name: str, data: st.DataObject) -> None:
    """The field may be anywhere in the row, except in an object that the change replaces."""
    place = data.draw(st.sampled_from(list_places()[table_name]))
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    value = data.draw(json_values)
    way: Callable[[Table[Any], StoredItem[Any], Any], Awaitable[None]] = data.draw(
        st.sampled_from(WAYS)
    )
    store = MemoryStore()
    row = replace(add_field(place, value), etag="1")
    name = (row.table, row.partition, row.key)
    store.rows[name] = row
    table = next(one for one in Tables(store) if one.name == table_name)
    kept = await table.get(row.partition, row.key)
    assert kept
    item = change_member(table, kept.item, set(map(str, place.path[:1])))

    await way(table, kept, item)

    stored = json.loads(get_stored_text(store.rows[name]))
    assert get_part(stored, place.path)[NAME] == value
    again = await table.get(row.partition, row.key)
    assert again
    assert again.item == item


@pytest.mark.parametrize("hours", [0, 1, 3, 30, 24 * 8])
async def test_unknown_fields_survive_a_remediation(hours: int) -> None:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.add_keyword_flow("Keyword")
    scenario.build.apply_key()
    await scenario.start_remediation()
    await scenario.run(timedelta(hours=hours))
    store = scenario.fakes.store
    names = {table.name for table in scenario.services.tables}
    newer = [name for name in store.rows if name[0] in names and name[2] != FENCE]
    for name in newer:
        store.rows[name] = add_field(Place(store.rows[name], ()), "new")
    scenario.renew()

    await scenario.run(timedelta(days=30))

    lost = [
        name
        for name in newer
        if name in store.rows and NAME not in json.loads(get_stored_text(store.rows[name]))
    ]
    assert lost == []
