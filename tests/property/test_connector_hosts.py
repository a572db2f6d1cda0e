import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local_cloud.tenant.environments.flow_facts import walk_actions
from shared.domain.definitions.connector_hosts import with_reference_hosts

_AUTHENTICATION = "@parameters('$authentication')"
_EXPRESSION = "@parameters('$connections')['{}']['connectionId']"
_TOKENS = "@json(decodeBase64(triggerOutputs().headers['X-MS-APIM-Tokens']))['$ConnectionKey']"

keys = st.sampled_from(["shared_office365", "shared_teams_1", "shared_sql-2"])
authentications = st.sampled_from(
    [
        None,
        _AUTHENTICATION,
        {"type": "Raw", "value": _TOKENS},
        {"type": "ManagedServiceIdentity"},
        "@parameters('mine')",
    ]
)
hosts = st.one_of(
    keys.map(lambda key: {"connectionName": key, "operationId": "GetItems"}),
    keys.map(lambda key: {"connectionReferenceName": key}),
    keys.map(lambda key: {"connection": {"name": _EXPRESSION.format(key)}}),
    keys.map(lambda key: {"workflowReferenceName": key}),
    st.none(),
)


def _build_inputs(host: object, authentication: object, body: object) -> dict[str, object]:
    parts = {"host": host, "authentication": authentication, "body": body}
    return {name: part for name, part in parts.items() if part is not None}


leaves = st.builds(
    _build_inputs,
    hosts,
    authentications,
    st.one_of(st.none(), st.text(), st.fixed_dictionaries({"host": hosts})),
).map(lambda inputs: {"type": "OpenApiConnection", "inputs": inputs, "runAfter": {}})


def _build_containers(actions: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.dictionaries(st.sampled_from("abc"), actions, max_size=3)
    return st.one_of(
        some.map(lambda a: {"type": "Scope", "actions": a}),
        some.map(lambda a: {"type": "If", "actions": {}, "else": {"actions": a}}),
        some.map(lambda a: {"type": "Switch", "cases": {"1": {"actions": a}}}),
        some.map(lambda a: {"type": "Switch", "cases": {}, "default": {"actions": a}}),
    )


actions = st.recursive(leaves, _build_containers, max_leaves=12)
documents = st.builds(
    lambda trigger, steps: {
        "properties": {
            "connectionReferences": {},
            "definition": {"triggers": {"manual": trigger}, "actions": steps},
        }
    },
    leaves,
    st.dictionaries(st.sampled_from("xyz"), actions, max_size=3),
)


def _find_inputs(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    definition = document["properties"]["definition"]
    yield definition["triggers"]["manual"]["inputs"]
    for _, action in walk_actions(definition["actions"]):
        if "inputs" in action:
            yield action["inputs"]


@given(documents)
def test_second_conversion_changes_nothing(
    document: dict[str, Any],
) -> None:
    """A later invocation may convert the copy again."""
    once = with_reference_hosts(json.dumps(document))

    assert with_reference_hosts(once) is once


@given(documents)
def test_conversion_changes_only_host_and_authentication(
    document: dict[str, Any],
) -> None:
    converted = json.loads(with_reference_hosts(json.dumps(document)))

    pairs = list(zip(_find_inputs(document), _find_inputs(converted), strict=True))
    for before, after in pairs:
        host = before.get("host") or {}
        if "connection" in host or "connectionName" in host or "connectionReferenceName" in host:
            assert after["host"].pop("connectionReferenceName") in json.dumps(host)
            host.pop("connectionReferenceName", None)
            if "authentication" not in after:
                removed = before.pop("authentication", _AUTHENTICATION)
                assert removed == _AUTHENTICATION or removed["type"] == "Raw"
        assert before == after
    assert converted == document
