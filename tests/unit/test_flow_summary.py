import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.definitions.comparison import hash_definition
from shared.domain.definitions.flow_definition import parse_or_explain
from shared.domain.definitions.flow_summary import parse_summary, summarize_definition

#: Members that a digest ignores, and members from which a summary is made.
NAMES = st.sampled_from(
    ["$schema", "contentVersion", "metadata", "outputs", "runAfter", "type", "inputs", "uri"]
)
VALUES = st.one_of(
    st.just({}),
    st.sampled_from(["Http", "https://api.contoso.example/x", "@{triggerBody()}", 1.0, 2]),
    st.just({"operationMetadataId": "1"}),
    st.just({"uri": "https://api.contoso.example/x"}),
    st.just({"host": {"workflowReferenceName": "{ABC}"}}),
)
ACTIONS = st.dictionaries(
    st.sampled_from(["Call", "Run", "\ud800"]),
    st.dictionaries(NAMES, VALUES)
    | st.fixed_dictionaries({"type": st.sampled_from(["Http", "Workflow"]), "inputs": VALUES}),
)


@st.composite
def _draw_flows(draw: st.DrawFn) -> str:
    definition = draw(st.dictionaries(NAMES, VALUES)) | {"actions": draw(ACTIONS)}
    definition["triggers"] = {"manual": {"type": "Request", "kind": "Http", "metadata": {}}}
    around: dict[str, Any] = draw(
        st.sampled_from([{}, {"schemaVersion": "1.0.0.0"}, {"type": "Microsoft.Logic/workflows"}])
    )
    holder = draw(st.sampled_from([{}, {"connectionReferences": {"mail": {"api": {"name": "m"}}}}]))
    return json.dumps(around | {"properties": holder | {"definition": definition}})


def _check_summary(text: str) -> None:
    definition, problem = parse_or_explain(text)
    expected = summarize_definition(definition) if definition else None
    assert parse_summary(text) == (expected, problem, hash_definition(text))


@given(_draw_flows())
def test_read_summary_equals_a_separate_digest_and_summary(text: str) -> None:
    _check_summary(text)


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[1]", '{"a": 1.0}', '\ufeff{"triggers": {}, "actions": {}}', '{"a":' * 9_999],
)
def test_invalid_definition_has_a_digest_and_a_problem(text: str) -> None:
    """An invalid definition causes no error."""
    _check_summary(text)
    assert parse_summary(text)[1] or text.startswith("\ufeff")
