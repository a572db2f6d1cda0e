"""Tells whether a definition that was read back is the one that was written.

The platform adds members of its own when it saves a flow; a copy is not wrong because of them.
"""

import hashlib
import json
from collections.abc import Mapping

#: What the platform adds or rewrites on save, by the member that holds it. Nothing else is
#: forgiven: a changed schema, authentication type or connection is a difference (§5.6).
_ADDED_METADATA = frozenset(
    {"operationMetadataId", "workflowEntityId", "processAdvisorMetadata", "flowChargedByPaygo"}
)
_ADDED_TO_DEFINITION = frozenset({"contentVersion", "$schema"})
_ADDED_TO_DOCUMENT = frozenset({"schemaVersion", "statecode", "statuscode", "templateName"})
_EMPTY_BY_DEFAULT = frozenset({"outputs", "metadata", "runAfter", "impersonation"})


def same_definition(a: str, b: str) -> bool:
    """Return whether two JSON texts describe the same flow.

    Key order, whitespace and escapes do not count, nor does what the platform adds: ids in
    `metadata`, `contentVersion` and `$schema` of the definition, `schemaVersion` and state beside
    `properties`, and empty `outputs`, `metadata`, `runAfter`. Text that is not JSON, or
    nests without end, equals only itself.
    """
    if a == b:
        return True
    try:
        return bool(_normal(json.loads(a), None) == _normal(json.loads(b), None))
    except (ValueError, RecursionError):
        return False


def definition_digest(text: str) -> str:
    """Return a hash that two texts share exactly if `same_definition` holds for them."""
    try:
        normal = json.dumps(_normal(json.loads(text), None), sort_keys=True)
    except (ValueError, RecursionError):
        normal = text
    return hashlib.sha256(normal.encode()).hexdigest()


def _normal(value: object, holder: str | None) -> object:
    if isinstance(value, list):
        return [_normal(item, None) for item in value]
    if not isinstance(value, Mapping):
        # JSON tells 1 from true; Python's == does not.
        return (type(value).__name__, value) if isinstance(value, bool) else value
    kept = {
        name: _normal(member, name)
        for name, member in value.items()
        if name not in _dropped(value, holder)
    }
    return {n: m for n, m in kept.items() if m != {} or n not in _EMPTY_BY_DEFAULT}


def _dropped(value: Mapping[str, object], holder: str | None) -> frozenset[str]:
    if holder == "metadata":
        return _ADDED_METADATA
    if "triggers" in value and "actions" in value:
        return _ADDED_TO_DEFINITION
    if "properties" in value and holder is None:
        return _ADDED_TO_DOCUMENT
    return frozenset()
