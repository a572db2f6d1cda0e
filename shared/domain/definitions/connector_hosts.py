"""Writes connector operations the newer way, for a platform that refuses the older ones.

Exports of solutions and packages hold `host.connectionName` (or `host.connection.name` with an
expression over `$connections`) beside `authentication: "@parameters('$authentication')"`. Some
saves of solution flows demand `host.connectionReferenceName` and no `authentication` instead
(platform.md#connector-shapes). Which do is not published: nothing is converted before it is
refused.
"""

import json
from collections.abc import Mapping
from typing import cast

from shared.domain.definitions.action_nodes import walk_actions
from shared.domain.definitions.connector_operations import connection_key
from shared.domain.definitions.flow_definition import definition_place
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

#: Codes by which a save refuses the older shapes. They have other causes too: what converting does
#: not change, or is refused again, is for a person.
SHAPE_REFUSED = frozenset(
    {"WorkflowRunActionInputsInvalidProperty", "WorkflowRunActionInputsMissingProperty"}
)
#: What an export writes as `authentication`; the platform puts in its own at run time.
_AUTHENTICATION = "@parameters('$authentication')"
#: The header that brings the connections of whoever runs the flow.
_INVOKERS_TOKENS = "X-MS-APIM-Tokens"


def with_reference_hosts(client_data: str) -> str:
    """Return a definition whose connector operations name their connection reference.

    Only `host` and `authentication` of connector operations change: `connectionReferenceName` is
    added with the key in `connectionReferences`, the platform's own `authentication` goes. Triggers
    and actions at any depth. A text with nothing to change comes back as it is, byte for byte, and
    so does one that is no definition. An operation without an operation id (type `ApiConnection`)
    stays one: its id cannot be told from its path.
    """
    try:
        document = json.loads(client_data)
    except (ValueError, RecursionError):
        return client_data
    place = definition_place(as_mapping(document))
    if place is None:
        return client_data
    definition = mapping_at(document, *place)
    steps = [
        *map(as_mapping, mapping_at(definition, "triggers").values()),
        *(step.raw for step in walk_actions(definition)),
    ]
    changed = [_convert(step) for step in steps]
    return json.dumps(document, separators=(",", ":")) if any(changed) else client_data


def _convert(step: Mapping[str, object]) -> bool:
    """Change a connector operation in its place; say whether anything changed."""
    inputs = mapping_at(step, "inputs")
    host = mapping_at(inputs, "host")
    key = connection_key(host)
    if key is None or "referenceName" in mapping_at(host, "connection"):
        return False  # no connector operation, or one of Logic Apps
    changed = False
    if not text_at(host, "connectionReferenceName"):
        cast("dict[str, object]", host)["connectionReferenceName"] = key
        changed = True
    if _is_the_platforms(inputs.get("authentication")):
        del cast("dict[str, object]", inputs)["authentication"]
        changed = True
    return changed


def _is_the_platforms(authentication: object) -> bool:
    if isinstance(authentication, str):
        return authentication == _AUTHENTICATION
    raw = as_mapping(authentication)
    return text_at(raw, "type") == "Raw" and _INVOKERS_TOKENS in (text_at(raw, "value") or "")
