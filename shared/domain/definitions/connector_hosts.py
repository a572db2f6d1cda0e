"""Convert connector operations to the newer format, after a save rejected the older one.

Exports of solutions and packages contain `host.connectionName` (or `host.connection.name` with an
expression over `$connections`) and `authentication: "@parameters('$authentication')"`. Some saves
of solution flows require `host.connectionReferenceName` without `authentication` instead
(platform.md#connector-shapes). It is not documented which saves do, so nothing is converted before
a save is rejected.
"""

import json
from collections.abc import Mapping
from typing import cast

from shared.domain.definitions.action_nodes import walk_actions
from shared.domain.definitions.connector_operations import find_connection_key
from shared.domain.definitions.flow_definition import find_definition_place
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

#: Error codes with which a save rejects the older formats. They have other causes too. If the
#: conversion changes nothing, or the save is rejected again, the job is blocked.
SHAPE_REFUSED = frozenset(
    {"WorkflowRunActionInputsInvalidProperty", "WorkflowRunActionInputsMissingProperty"}
)
#: The `authentication` in exports; the platform inserts its own at run time.
_AUTHENTICATION = "@parameters('$authentication')"
#: The header that carries the connections of the user who runs the flow.
_INVOKERS_TOKENS = "X-MS-APIM-Tokens"


def with_reference_hosts(client_data: str) -> str:
    """Return a definition whose connector operations name their connection reference.

    Only `host` and `authentication` of connector operations change, at any depth:
    `connectionReferenceName` gets the key in `connectionReferences`, and the platform's own
    `authentication` is removed. A text without anything to change, or without a definition, is
    returned byte for byte. An operation without an operation id (type `ApiConnection`) keeps its
    type, because its id cannot be derived from its path.
    """
    try:
        document = json.loads(client_data)
    except (ValueError, RecursionError):
        return client_data
    place = find_definition_place(as_mapping(document))
    if place is None:
        return client_data
    definition = mapping_at(document, *place)
    steps = [
        *map(as_mapping, mapping_at(definition, "triggers").values()),
        *(step.raw for step in walk_actions(definition)),
    ]
    changed = [_convert_operation(step) for step in steps]
    return json.dumps(document, separators=(",", ":")) if any(changed) else client_data


def _convert_operation(step: Mapping[str, object]) -> bool:
    """Change a connector operation in place. Returns whether anything changed."""
    inputs = mapping_at(step, "inputs")
    host = mapping_at(inputs, "host")
    key = find_connection_key(host)
    if key is None or "referenceName" in mapping_at(host, "connection"):
        return False  # no connector operation, or one of a Logic App
    changed = False
    if not text_at(host, "connectionReferenceName"):
        cast("dict[str, object]", host)["connectionReferenceName"] = key
        changed = True
    if _is_platform_authentication(inputs.get("authentication")):
        del cast("dict[str, object]", inputs)["authentication"]
        changed = True
    return changed


def _is_platform_authentication(authentication: object) -> bool:
    if isinstance(authentication, str):
        return authentication == _AUTHENTICATION
    raw = as_mapping(authentication)
    return text_at(raw, "type") == "Raw" and _INVOKERS_TOKENS in (text_at(raw, "value") or "")
