"""Find and restore connection references that the platform removed when it rejected a save.

The platform may reject a save and still empty `connectionReferences`, without a new modification
time (platform.md#rejected-saves).
"""

import json
from collections.abc import Iterator, Mapping

from shared.domain.definitions.action_nodes import walk_actions
from shared.domain.definitions.connection_reference import list_connections_used
from shared.domain.definitions.connector_operations import find_connection_key
from shared.domain.definitions.flow_definition import find_definition_place
from shared.domain.definitions.json_values import as_mapping, mapping_at

#: Entries of `connectionReferences` by key.
type References = Mapping[str, object]


def list_unresolved_references(client_data: str) -> tuple[str, ...]:
    """Return, in order, the keys of connections that operations use and that
    `connectionReferences` does not contain.
    """
    document = _decode_client_data(client_data)
    known = _get_connection_references(document)
    return tuple(
        dict.fromkeys(key for key in _find_reference_keys_used(document) if key not in known)
    )


def find_lost_references(before: str, now: str) -> References:
    """Return the entries of `connectionReferences` in `before` that the platform removed in `now`.

    A missing entry is lost if operations in `now` still use it, or if no entry is left and nothing
    else differs. A person who removes an entry also changes what used it.
    """
    old, new = _decode_client_data(before), _decode_client_data(now)
    kept = _get_connection_references(new)
    missing = {
        key: entry for key, entry in _get_connection_references(old).items() if key not in kept
    }
    if not kept and _format_without_references(old) == _format_without_references(new):
        return missing
    used = set(_find_reference_keys_used(new))
    return {key: entry for key, entry in missing.items() if key in used}


def with_lost_references(before: str, now: str) -> str:
    """Return the definition `now` with the references of `before` that the platform removed.

    Returns `now` unchanged if none is lost, and `before` if nothing else differs.
    """
    lost, document = find_lost_references(before, now), _decode_client_data(now)
    place = find_definition_place(document)
    if not lost or place is None:
        return now
    holder = mapping_at(document, *place[:-1])
    assert isinstance(holder, dict)
    holder["connectionReferences"] = {**_get_connection_references(document), **lost}
    if json.dumps(document, sort_keys=True) == json.dumps(
        _decode_client_data(before), sort_keys=True
    ):
        return before
    return json.dumps(document, separators=(",", ":"))


def describe_connection_references(references: References) -> str:
    """Return the connection references in one line for people: each key, and what it refers to."""
    uses = {
        use.key: use.logical_name or use.connection_id
        for use in list_connections_used(json.dumps({"connectionReferences": references}))
    }
    return ", ".join(f"{key} ({uses[key]})" if uses.get(key) else key for key in references)


def _decode_client_data(client_data: str) -> Mapping[str, object]:
    try:
        return as_mapping(json.loads(client_data))
    except (ValueError, RecursionError):
        return {}


def _get_connection_references(document: Mapping[str, object]) -> References:
    place = find_definition_place(document) or ("",)
    return mapping_at(document, *place[:-1], "connectionReferences")


def _find_reference_keys_used(document: Mapping[str, object]) -> Iterator[str]:
    place = find_definition_place(document)
    definition = mapping_at(document, *place) if place else {}
    steps = [*map(as_mapping, mapping_at(definition, "triggers").values())]
    steps += [step.raw for step in walk_actions(definition)]
    for step in steps:
        if key := find_connection_key(mapping_at(step, "inputs", "host")):
            yield key


def _format_without_references(document: Mapping[str, object]) -> str:
    place = find_definition_place(document)
    return json.dumps(mapping_at(document, *place) if place else document, sort_keys=True)
