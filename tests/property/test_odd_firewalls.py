import asyncio
import copy
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cmkflow.exported_resources import ExportedResources
from cmkflow.network_check import Question, check_network
from shared.domain.network.verdict import Verdict
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.unit.uncovered import build_tag_list

TAGS = build_tag_list({"PowerPlatformPlex": ["20.61.88.128/26", "2603:1061:2004:7800::/56"]})
#: What stands where something else belongs: other types, and what only a deployment evaluates.
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, -1, 1.5, "", "-", "10.0.0.4-", "1.2.3.4-::1", "[parameters('x')]", "²"),
        *([], {}, [None], ["[x()]"], [[]], [{}], {"properties": None}, {"id": 4}),
        [{"properties": [1]}],
    ]
)


def list_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, one in inner:
        found.append((*path, key))
        if isinstance(one, dict | list):
            found += list_paths(one, (*path, key))
    return found


@given(st.sampled_from(FIREWALL_KINDS), st.data())
def test_malformed_firewall_yields_a_verdict_or_unknown(kind: str, data: st.DataObject) -> None:
    case = load_firewall_case(kind)
    sources = case.build_sources(["PowerPlatformPlex"], TAGS)
    documents = copy.deepcopy([*case.resources(sources).values()])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list_paths(documents)))
        if len(path) == 1 or path[1] in ("id", "type"):
            continue
        owner: Any = documents
        try:
            for step in path[:-1]:
                owner = owner[step]
            owner[path[-1]] = copy.deepcopy(data.draw(ODD))
        except (KeyError, IndexError, TypeError):
            continue  # what was replaced before has no such place
    paths = [*case.resources(sources)]
    by_id: dict[str, Mapping[str, object]] = {
        path.lower(): {"id": path, "type": "part", **document}
        for path, document in zip(paths, documents, strict=True)
    }

    question = Question(tags=TAGS, regions=["WestEurope"])
    rows = asyncio.run(check_network(ExportedResources(by_id=by_id), question))

    assert all(row["verdict"] is None or row["verdict"] in Verdict for row in rows)
