import json

import pytest

from shared.domain.definitions.comparison import hash_definition, is_same_definition

ACTION = {"type": "Compose", "inputs": {"value": 1, "is": True}, "runAfter": {}}
FLOW = {
    "properties": {
        "definition": {"triggers": {"manual": {}}, "actions": {"Compose": ACTION}, "outputs": {}}
    }
}


def _build_definition(**inputs: object) -> str:
    action = {**ACTION, "inputs": {**ACTION["inputs"], **inputs}}  # type: ignore[dict-item]
    definition = {"triggers": {"manual": {}}, "actions": {"Compose": action}}
    return json.dumps({"properties": {"definition": definition}})


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(FLOW, indent=2),
        json.dumps({**FLOW, "schemaVersion": "1.0.0.0", "statecode": 1}),
        _build_definition(),
        _build_definition(value=1.0),
    ],
)
def test_additions_and_spellings_of_the_platform_are_not_a_difference(text: str) -> None:
    """What the platform writes differently on a save, such as 1.0 for 1, is no change."""
    assert is_same_definition(json.dumps(FLOW), text)
    assert hash_definition(json.dumps(FLOW)) == hash_definition(text)


def _build_bound_definition(**connection: str) -> str:
    entry = {"runtimeSource": "embedded", "connection": connection}
    return json.dumps({"properties": {"connectionReferences": {"mail": entry}, "definition": {}}})


def test_connection_beside_its_reference_is_not_a_difference() -> None:
    """The platform may add the connection to an entry that has a connection reference."""
    bare = _build_bound_definition(connectionReferenceLogicalName="cr1_mail")

    assert is_same_definition(
        bare, _build_bound_definition(connectionReferenceLogicalName="cr1_mail", name="mail-1")
    )
    assert not is_same_definition(
        bare, _build_bound_definition(connectionReferenceLogicalName="cr1_other")
    )
    assert not is_same_definition(bare, _build_bound_definition(name="mail-1"))
    assert not is_same_definition(
        _build_bound_definition(name="mail-1"), _build_bound_definition(name="mail-2")
    )


@pytest.mark.parametrize(
    "text",
    [
        _build_definition(value=2),
        _build_definition(value=True),
        _build_definition(**{"is": 1}),
        _build_definition(contentVersion="1"),
        _build_definition(list=[{"properties": {}, "statecode": 1}]),
        "no JSON",
    ],
)
def test_change_of_a_maker_is_a_difference(text: str) -> None:
    assert not is_same_definition(json.dumps(FLOW), text)
    assert hash_definition(json.dumps(FLOW)) != hash_definition(text)
