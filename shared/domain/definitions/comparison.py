"""Compare a definition that was read back with the one that was written.

The platform adds members when it saves a flow. They do not count as differences.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

#: What the platform adds or rewrites on save, by the member that contains it. Everything else
#: counts, such as a changed schema, authentication type or connection
#: (platform.md#connector-shapes).
_ADDED_METADATA = frozenset(
    {"operationMetadataId", "workflowEntityId", "processAdvisorMetadata", "flowChargedByPaygo"}
)
_ADDED_TO_DEFINITION = frozenset({"contentVersion", "$schema"})
_ADDED_TO_DOCUMENT = frozenset({"schemaVersion", "statecode", "statuscode", "templateName"})
_EMPTY_BY_DEFAULT = frozenset({"outputs", "metadata", "runAfter", "impersonation"})
#: Members that show that an object may need a change. Most objects have none of them.
_NEEDS_CHANGE = _EMPTY_BY_DEFAULT | {"triggers"}


def is_same_definition(a: str, b: str) -> bool:
    """Return whether two JSON texts describe the same flow.

    Ignores key order, whitespace, escapes, the format of numbers, and what the platform adds on
    save:

    * ids and other members in `metadata`
    * `contentVersion` and `$schema` of the definition
    * `schemaVersion`, `templateName` and state beside `properties`
    * the connection's name beside that of its connection reference
    * empty `outputs`, `metadata`, `runAfter` and `impersonation`

    A text that is not JSON, or nests too deeply, equals only itself.
    """
    return a == b or build_canonical_definition(a) == build_canonical_definition(b)


@lru_cache(maxsize=64)  # an invocation reads the same few texts several times
def hash_definition(text: str) -> str:
    """Return a hash that two texts share if and only if `is_same_definition` holds for them."""
    return DefinitionText(text).digest()


def build_canonical_definition(text: str) -> str:
    """Return a text that is equal for all texts that describe the same flow.

    Text that is not JSON, or nests too deeply, is returned unchanged.
    """
    return DefinitionText(text).build_canonical_text()


class DefinitionText:
    """The JSON text of a flow, decoded once for several uses."""

    def __init__(self, text: str) -> None:
        """Decode the text. Text that is not JSON, or nests too deeply, is kept undecoded."""
        self._text = text
        self._definitions: list[dict[str, object]] = []
        #: The decoded object without the ids and empty members that the platform adds to actions;
        #: None: the text is no JSON object. Valid until `digest` or `build_canonical_text`
        #: is called.
        self.document: dict[str, object] | None = None
        self._decoded: object = None
        self._is_json = True
        try:
            self._decoded = json.loads(
                text, object_hook=self._remove_platform_additions, parse_float=_parse_number
            )
        except (ValueError, RecursionError):
            self._is_json = False
        if isinstance(self._decoded, dict):
            self.document = self._decoded

    def digest(self) -> str:
        """Return the digest of the text; see `hash_definition`."""
        return hashlib.sha256(
            self.build_canonical_text().encode("utf-8", "surrogatepass")
        ).hexdigest()

    def build_canonical_text(self) -> str:
        """Return the canonical text; see `build_canonical_definition`."""
        document, self.document = self._decoded, None
        for definition in self._definitions:
            _remove_members(definition, _ADDED_TO_DEFINITION)
        if isinstance(document, dict) and "properties" in document:
            _remove_members(document, _ADDED_TO_DOCUMENT)
            _remove_connection_names(document["properties"])
        try:
            return json.dumps(document, sort_keys=True) if self._is_json else self._text
        except (ValueError, RecursionError):
            return self._text

    def _remove_platform_additions(self, value: dict[str, object]) -> dict[str, object]:
        """Remove members that the platform adds to an object.

        The JSON decoder calls this method, for inner objects first.
        """
        if _NEEDS_CHANGE.isdisjoint(value):
            return value  # most objects: a definition has hundreds
        metadata = value.get("metadata")
        if isinstance(metadata, dict):
            _remove_members(metadata, _ADDED_METADATA)
        if "triggers" in value and "actions" in value:
            self._definitions.append(value)
        for name in _EMPTY_BY_DEFAULT.intersection(value):
            if value[name] == {}:
                del value[name]
        return value


def _remove_connection_names(properties: object) -> None:
    """Remove the name of each connection that has a connection reference beside it.

    See platform.md#client-data.
    """
    references = properties.get("connectionReferences") if isinstance(properties, dict) else None
    for entry in references.values() if isinstance(references, dict) else ():
        connection = entry.get("connection") if isinstance(entry, dict) else None
        if isinstance(connection, dict) and connection.get("connectionReferenceLogicalName"):
            connection.pop("name", None)


def _remove_members(value: dict[str, object], names: Iterable[str]) -> None:
    for name in names:
        value.pop(name, None)


def _parse_number(text: str) -> int | float:
    """Return an integer if the number has no fraction, so that `1.0` equals `1`, as in JSON."""
    number = float(text)
    return int(number) if number.is_integer() else number
