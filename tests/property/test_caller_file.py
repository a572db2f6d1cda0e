import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cmkflow.caller_file import parse_callers
from cmkflow.json_file import UnreadableFile
from functions.declared_caller_models import DeclareCallersRequest
from shared.domain.callers.caller_csv import COLUMNS, UnreadableCsv, parse_csv

TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
SNIPPETS = st.sampled_from(
    [
        *("callers:", "\n", "- ", "  ", "name: x", "&a", "*a", "<<: ", "? ", "[", "]", "{", "}"),
        *("!!python/object:os.system", "|\n", "---", "#", '"', "'", ",", *COLUMNS, "\t", "\x85"),
    ]
)
#: Changes after which the API rejects an entry.
FAULTS: dict[str, Any] = {
    "owner": st.just("") | st.lists(TEXTS, min_size=1),
    "flows": st.just([]) | st.just([{"flow": "Orders"}]) | st.integers(),
    "max_url_length": st.integers(max_value=0) | st.just("many"),
    "phone": st.just("1"),
}


def parse_file(data: bytes, suffix: str) -> list[dict[str, Any]] | None:
    """Return the callers, or None if the app rejects the file."""
    with suppress(UnreadableFile):
        return parse_callers(data, suffix)
    return None


@given(st.lists(SNIPPETS | TEXTS, max_size=30).map("".join), st.sampled_from([".yaml", ".csv"]))
def test_any_text_is_parsed_to_json_or_rejected(text: str, suffix: str) -> None:
    found = parse_file(text.encode("utf-8", "replace"), suffix)

    json.dumps(found)


@given(st.binary(max_size=60), st.sampled_from([".yaml", ".yml", ".json", ".csv", ""]))
def test_any_bytes_are_parsed_or_rejected(data: bytes, suffix: str) -> None:
    json.dumps(parse_file(data, suffix))


@given(VALUES)
def test_yaml_and_json_of_a_document_are_both_parsed_or_both_rejected(document: Any) -> None:
    whole = {"callers": document}

    as_yaml = parse_file(yaml.safe_dump(whole, allow_unicode=True).encode(), ".yaml")
    as_json = parse_file(json.dumps(whole).encode(), ".json")

    assert (as_yaml is None) == (as_json is None)


@given(st.data(), st.lists(st.sampled_from(["", *FAULTS]), min_size=1, max_size=8))
def test_exactly_the_wrong_entries_are_named(data: st.DataObject, faults: list[str]) -> None:
    entries = []
    for number, fault in enumerate(faults):
        flow = {"environment_id": "e-1", "flow": "Orders"}
        entry: dict[str, Any] = {"name": f"Caller {number}", "owner": "Sam", "contact": "1"}
        entry |= {"flows": [flow], "max_url_length": 255}
        entries.append(entry | ({fault: data.draw(FAULTS[fault])} if fault else {}))
    found = parse_callers(json.dumps({"callers": entries}).encode(), ".yaml")

    named: set[object] = set()
    try:
        DeclareCallersRequest.model_validate_json(json.dumps({"callers": found}), strict=True)
    except ValidationError as error:
        named = {one["loc"][1] for one in error.errors()}

    assert named == {number for number, fault in enumerate(faults) if fault}


@given(st.lists(st.sampled_from(["ok", '"open', 'a"b,"c"d', ",,,", "", "Till,1,2,3"]), max_size=20))
def test_wrong_line_of_a_csv_file_does_not_affect_other_lines(kinds: list[str]) -> None:
    """A wrong line may contain a quotation mark that is never closed."""
    lines = [f"Caller{number},Sam,7" if one == "ok" else one for number, one in enumerate(kinds)]
    expected = {f"Caller{number}" for number, one in enumerate(kinds) if one == "ok"}

    callers, faults = parse_csv("name,owner,contact\n" + "".join(f"{one}\n" for one in lines))

    assert {one.values["name"] for one in callers} == expected
    wrong = {number + 2 for number, one in enumerate(kinds) if one not in {"ok", ""}}
    assert {one.line for one in faults} == wrong


def test_file_without_columns_is_rejected() -> None:
    for text in ("", "\n", "Till,Sam\n", '"name'):
        with pytest.raises(UnreadableCsv):
            parse_csv(text)
