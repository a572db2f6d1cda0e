import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.kind_discovery import find_kinds
from shared.ports import TextColumn
from tests.fakes.builder import Builder
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_kinds
from tests.fakes.world import World
from tests.property.trigger_url_texts import WRITINGS, draw_trigger_urls

COLUMNS = [
    (kind.kind, column)
    for kind in find_kinds("shared.callers")
    if issubclass(kind, DataverseRowCallers)
    for column in kind.columns
]


async def find_ids(kind: str, column: TextColumn, text: str) -> set[str]:
    world = World()
    Builder(world).add_row(column.entity_set, {column.name: "x", column.text: text})
    ports = build_fakes(world).ports
    found = build_kinds(ports)[kind].find(await ports.environments.list())
    return {one async for caller in found for one in caller.trigger_url_ids}


@pytest.mark.parametrize(("kind", "column"), COLUMNS)
@given(url=draw_trigger_urls(), write=WRITINGS, around=st.text(max_size=5))
def test_url_in_a_row_is_found_however_it_is_written(
    kind: str, column: TextColumn, url: str, write: Any, around: str
) -> None:
    """Dataverse returns only rows that meet a condition, so each row with a trigger URL must meet
    it.
    """
    [match] = find_trigger_urls(url)

    found = asyncio.run(find_ids(kind, column, json.dumps(around) + " " + write(url)))

    assert match.url.trigger_url_id in found


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
@pytest.mark.parametrize(("kind", "column"), COLUMNS)
def test_each_public_shape_of_url_is_found(kind: str, column: TextColumn) -> None:
    path = Path(os.environ["FLOW_CORPUS"], "callers", "url_shapes.jsonl")
    shapes = [json.loads(line)["url"] for line in path.read_text("utf-8").splitlines()]
    wanted = {match.url.trigger_url_id for url in shapes for match in find_trigger_urls(url)}

    assert asyncio.run(find_ids(kind, column, "\n".join(shapes))) == wanted != set()
