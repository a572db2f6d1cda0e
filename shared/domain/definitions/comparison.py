"""Tells whether a definition that was read back is the one that was written.

The platform adds members of its own when it saves a flow; a copy is not wrong because of them.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache

#: What the platform adds or rewrites on save, by the member that holds it. Nothing else is
#: forgiven: a changed schema, authentication type or connection is a difference
#: (platform.md#connector-shapes).
_ADDED_METADATA = frozenset(
    {"operationMetadataId", "workflowEntityId", "processAdvisorMetadata", "flowChargedByPaygo"}
)
_ADDED_TO_DEFINITION = frozenset({"contentVersion", "$schema"})
_ADDED_TO_DOCUMENT = frozenset({"schemaVersion", "statecode", "statuscode", "templateName"})
_EMPTY_BY_DEFAULT = frozenset({"outputs", "metadata", "runAfter", "impersonation"})
#: Members by which an object shows that there may be something to take out.
_TOUCHED = _EMPTY_BY_DEFAULT | {"triggers"}


def same_definition(a: str, b: str) -> bool:
    """Return whether two JSON texts describe the same flow.

    Key order, whitespace and escapes do not count, nor does what the platform adds: ids in
    `metadata`, `contentVersion` and `$schema` of the definition, `schemaVersion` and state beside
    `properties`, the connection's name beside that of its connection reference, and empty
    `outputs`, `metadata`, `runAfter`. Text that is not JSON, or nests without end, equals only
    itself.
    """
    return a == b or canonical_definition(a) == canonical_definition(b)


@lru_cache(maxsize=64)  # a delivery reads the same few texts several times
def definition_digest(text: str) -> str:
    """Return a hash that two texts share exactly if `same_definition` holds for them."""
    return DefinitionText(text).digest()


def canonical_definition(text: str) -> str:
    """Return one text for all that describe the same flow; what is no JSON stands for itself."""
    return DefinitionText(text).canonical()


class DefinitionText:
    """A JSON text, decoded once, for its digest and for what else is to be read of it."""

    def __init__(self, text: str) -> None:
        """Decode a text; one that is no JSON, or nests without end, is kept as it is."""
        self._text = text
        self._definitions: list[dict[str, object]] = []
        #: What it decodes to without the ids and empty members that the platform adds to actions;
        #: None: it is no JSON object. It holds until `digest` or `canonical` is asked for.
        self.document: dict[str, object] | None = None
        self._decoded: object = None
        self._is_json = True
        try:
            self._decoded = json.loads(
                text, object_hook=self._without_additions, parse_float=_number
            )
        except (ValueError, RecursionError):
            self._is_json = False
        if isinstance(self._decoded, dict):
            self.document = self._decoded

    def digest(self) -> str:
        """Return the digest of the text; see `definition_digest`."""
        return hashlib.sha256(self.canonical().encode("utf-8", "surrogatepass")).hexdigest()

    def canonical(self) -> str:
        """Return the canonical text; see `canonical_definition`."""
        document, self.document = self._decoded, None
        for definition in self._definitions:
            _drop(definition, _ADDED_TO_DEFINITION)
        if isinstance(document, dict) and "properties" in document:
            _drop(document, _ADDED_TO_DOCUMENT)
            _forget_names(document["properties"])
        try:
            return json.dumps(document, sort_keys=True) if self._is_json else self._text
        except (ValueError, RecursionError):
            return self._text

    def _without_additions(self, value: dict[str, object]) -> dict[str, object]:
        """Take out of an object what the platform adds; the decoder goes from the inside out."""
        if _TOUCHED.isdisjoint(value):
            return value  # most objects: a definition has hundreds
        metadata = value.get("metadata")
        if isinstance(metadata, dict):
            _drop(metadata, _ADDED_METADATA)
        if "triggers" in value and "actions" in value:
            self._definitions.append(value)
        for name in _EMPTY_BY_DEFAULT.intersection(value):
            if value[name] == {}:
                del value[name]
        return value


def _forget_names(properties: object) -> None:
    """Leave out which connection a reference leads to now: it may stand beside the name.

    See platform.md#client-data.
    """
    references = properties.get("connectionReferences") if isinstance(properties, dict) else None
    for entry in references.values() if isinstance(references, dict) else ():
        connection = entry.get("connection") if isinstance(entry, dict) else None
        if isinstance(connection, dict) and connection.get("connectionReferenceLogicalName"):
            connection.pop("name", None)


def _drop(value: dict[str, object], names: Iterable[str]) -> None:
    for name in names:
        value.pop(name, None)


def _number(text: str) -> int | float:
    """JSON has one kind of number: `1.0` is 1."""
    number = float(text)
    return int(number) if number.is_integer() else number
