"""Conversion of older connector shapes, as real exports contain them."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.flows.saves import require_reference_hosts
from shared.domain.definitions.action_nodes import walk_actions
from shared.domain.definitions.connector_hosts import with_reference_hosts
from shared.domain.definitions.connector_operations import operation_of
from shared.domain.definitions.flow_definition import (
    DefinitionFormat,
    FlowDefinition,
    parse_client_data,
)
from shared.domain.definitions.json_values import as_mapping, mapping_at

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]


def flows() -> list[str]:
    """Return the text of every cloud flow of the corpus, as Dataverse would hold it."""
    folder = Path(os.environ["FLOW_CORPUS"]) / "flows"
    texts = [_text(file) for file in sorted(folder.rglob("*.json"))]
    return [
        text
        for text in texts
        if parse_client_data(text).format in {DefinitionFormat.CLIENT_DATA, DefinitionFormat.FLOW}
    ]


def _text(file: Path) -> str:
    raw = file.read_bytes()
    return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def steps(flow: FlowDefinition) -> list[Any]:
    """Return the triggers and actions of a flow."""
    triggers = [as_mapping(trigger.raw) for trigger in flow.triggers]
    return [*triggers, *(step.raw for step in walk_actions(flow.definition))]


def test_every_real_flow_can_be_converted_into_what_a_strict_platform_takes() -> None:
    """A converted flow has the same operations, and converting it again changes nothing."""
    for text in flows():
        converted = with_reference_hosts(text)

        require_reference_hosts(converted)
        assert with_reference_hosts(converted) is converted
        before, after = parse_client_data(text), parse_client_data(converted)
        operations = [operation_of(step, before.connection_references) for step in steps(before)]
        assert operations == [
            operation_of(step, after.connection_references) for step in steps(after)
        ]


def test_solution_exports_hold_the_older_shapes_so_none_is_converted_unasked() -> None:
    """Dataverse exports contain older shapes, as docs/copies.md says."""
    hosts: Counter[str] = Counter()
    for text in flows():
        flow = parse_client_data(text)
        if flow.format is DefinitionFormat.CLIENT_DATA:
            for step in steps(flow):
                host = mapping_at(step, "inputs", "host")
                hosts.update(name for name in ("connectionName", "connection") if name in host)
                hosts["connectionReferenceName"] += "connectionReferenceName" in host

    assert hosts["connectionName"] > 1000
    assert hosts["connection"] > 500
    assert hosts["connectionReferenceName"] == 0


def test_no_real_flow_changes_but_in_hosts_and_authentication() -> None:
    """Without host and authentication, both definitions are equal."""
    for text in flows():
        before, after = parse_client_data(text), parse_client_data(with_reference_hosts(text))
        for step in (*steps(before), *steps(after)):
            inputs = step.get("inputs")
            if isinstance(inputs, dict) and isinstance(inputs.get("host"), dict):
                inputs["host"].pop("connectionReferenceName", None)
                inputs.pop("authentication", None)
        assert json.dumps(before.definition) == json.dumps(after.definition)
