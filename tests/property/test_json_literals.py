import json
import re

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.definitions.json_literals import list_json_strings, list_json_strings_around

_WANTED = re.compile(r"childReference|(?i:workflows)")
_TEXT = st.lists(
    st.sampled_from(["workflows", "/WorkFlows/", "x", '"', "\\", "\\\\", "é", "\n", ":", " "]),
    max_size=5,
).map("".join)
_DOCUMENTS = st.recursive(
    _TEXT | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_TEXT | st.just("childReference"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
def test_strings_around_matches_equal_those_of_a_full_parse(
    document: object, is_ascii: bool, indent: int | None
) -> None:
    source = json.dumps(document, ensure_ascii=is_ascii, indent=indent)

    found = list(list_json_strings_around(source, _WANTED))

    everything = list(list_json_strings(source))
    wanted = [
        one
        for one in everything
        if _WANTED.search(one.value) or (one.key and _WANTED.search(one.key))
    ]
    assert [(one.value, one.find_source_span(0, len(one.value))) for one in found] == [
        (one.value, one.find_source_span(0, len(one.value))) for one in wanted
    ]
    assert [one.value for one in found if one.key == "childReference"] == [
        one.value for one in everything if one.key == "childReference"
    ]
