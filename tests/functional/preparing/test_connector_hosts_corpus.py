import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.flows.saves import require_reference_hosts
from shared.domain.definitions.action_nodes import walk_actions
from shared.domain.definitions.connector_hosts import with_reference_hosts
from shared.domain.definitions.connector_operations import get_connector_operation
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


def read_flows() -> list[str]:
    folder = Path(os.environ["FLOW_CORPUS"]) / "flows"
    texts = [_read_text(file) for file in sorted(folder.rglob("*.json"))]
    return [
        text
        for text in texts
        if parse_client_data(text).format in {DefinitionFormat.CLIENT_DATA, DefinitionFormat.FLOW}
    ]


def _read_text(file: Path) -> str:
    raw = file.read_bytes()
    return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def list_steps(flow: FlowDefinition) -> list[Any]:
    triggers = [as_mapping(trigger.raw) for trigger in flow.triggers]
    return [*triggers, *(step.raw for step in walk_actions(flow.definition))]


def test_every_public_flow_can_be_converted_for_a_strict_platform() -> None:
    for text in read_flows():
        converted = with_reference_hosts(text)

        require_reference_hosts(converted)
        assert with_reference_hosts(converted) is converted
        before, after = parse_client_data(text), parse_client_data(converted)
        operations = [
            get_connector_operation(step, before.connection_references)
            for step in list_steps(before)
        ]
        assert operations == [
            get_connector_operation(step, after.connection_references) for step in list_steps(after)
        ]


def test_exports_of_solutions_have_the_older_connector_format() -> None:
    """docs/copies.md says that exports use the older format."""
    hosts: Counter[str] = Counter()
    for text in read_flows():
        flow = parse_client_data(text)
        if flow.format is DefinitionFormat.CLIENT_DATA:
            for step in list_steps(flow):
                host = mapping_at(step, "inputs", "host")
                hosts.update(name for name in ("connectionName", "connection") if name in host)
                hosts["connectionReferenceName"] += "connectionReferenceName" in host

    assert hosts["connectionName"] > 1000
    assert hosts["connection"] > 500
    assert hosts["connectionReferenceName"] == 0


def test_conversion_of_public_flows_changes_only_hosts_and_authentication() -> None:
    for text in read_flows():
        before, after = parse_client_data(text), parse_client_data(with_reference_hosts(text))
        for step in (*list_steps(before), *list_steps(after)):
            inputs = step.get("inputs")
            if isinstance(inputs, dict) and isinstance(inputs.get("host"), dict):
                inputs["host"].pop("connectionReferenceName", None)
                inputs.pop("authentication", None)
        assert json.dumps(before.definition) == json.dumps(after.definition)
