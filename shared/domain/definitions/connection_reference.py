"""Parse and write connection references, by which a flow in a solution names its connections.

A flow outside a solution, and sometimes one in a solution, embeds the connection itself. A copy is
in a solution, so each embedded connection gets a connection reference that the copy uses. See
platform.md#client-data, #connection-references.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.definitions.flow_definition import find_definition_place
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.ids import NAMESPACE

_APIS = "/providers/Microsoft.PowerApps/apis/"
#: Names of custom connectors end like this: an escaped underscore, then the connector's hex id in
#: one part, or in two with an escaped hyphen between them.
_CUSTOM = re.compile(r"-5f[0-9a-f]{12,}(-2d[0-9a-f]{12,})?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionReference:
    """A row of Dataverse's table `connectionreference`."""

    reference_id: str
    logical_name: str
    #: For example `/providers/Microsoft.PowerApps/apis/shared_office365`.
    connector_id: str
    #: Name of the connection; empty: the reference is not bound to one.
    connection_id: str
    #: `systemuserid` of the owner.
    owner_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionReferenceDraft:
    """A connection reference to create, under an id that the app chooses."""

    reference_id: str
    logical_name: str
    display_name: str
    description: str
    connector_id: str
    #: Empty: the user who runs the flow provides the connection.
    connection_id: str
    #: The owner to create it for; empty: the app.
    owner_id: str
    #: True: `owner_id` is an Entra object id instead of a `systemuserid`.
    owner_is_entra_id: bool = False

    def is_stored_as(self, row: ConnectionReference) -> bool:
        """Return whether a row is the stored form of this draft."""
        return row.logical_name.lower() == self.logical_name and is_bound_to(
            row, connector_id=self.connector_id, connection_id=self.connection_id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedConnection:
    """A connection that a flow uses without a connection reference."""

    #: The key of the entry in `connectionReferences`.
    key: str
    #: For example `shared_office365`.
    connector: str
    #: Name of the connection; empty: the user who runs the flow provides it.
    connection_id: str
    #: Whether the connector was made in this tenant, not by Microsoft or a partner.
    is_custom: bool

    @property
    def connector_id(self) -> str:
        """Return the connector's id in the format of the column `connectorid`."""
        return _APIS + self.connector

    @property
    def label(self) -> str:
        """Return the text by which an administrator finds the connection."""
        return f"{self.connection_id or 'of the user who runs the flow'} ({self.connector})"


def list_embedded_connections(references: Mapping[str, object]) -> tuple[EmbeddedConnection, ...]:
    """Return, in order, the entries of `connectionReferences` that name no connection reference.

    Skips entries that name no connection either, unless the user who runs the flow provides it.
    """
    found = []
    for key, value in references.items():
        entry = as_mapping(value)
        connection, api = mapping_at(entry, "connection"), mapping_at(entry, "api")
        name = text_at(connection, "name") or text_at(entry, "connectionName") or ""
        source = text_at(entry, "runtimeSource") or text_at(entry, "source") or "embedded"
        is_invokers = source.lower() == "invoker"
        is_referenced = _get_reference_logical_name(entry) or _get_reference_logical_name(
            connection
        )
        if is_referenced or not (name or is_invokers):
            continue
        connector = text_at(api, "name") or text_at(api, "id") or text_at(entry, "id") or key
        connector = connector.rstrip("/").rpartition("/")[2]
        found.append(
            EmbeddedConnection(
                key=key,
                connector=connector,
                connection_id="" if is_invokers else name,
                is_custom=bool(text_at(api, "logicalName") or _CUSTOM.search(connector)),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionUse:
    """The names by which a flow refers to a connection.

    If it has neither a logical name nor a connection id, it names no connection.
    """

    key: str
    logical_name: str
    connection_id: str


def list_connections_used(client_data: str) -> tuple[ConnectionUse, ...]:
    """Return, in order, the connections that a flow needs when it is turned on."""
    found = []
    for key, value in _get_connection_references(_decode_client_data(client_data)).items():
        entry = as_mapping(value)
        connection = mapping_at(entry, "connection")
        source = text_at(entry, "runtimeSource") or text_at(entry, "source") or "embedded"
        if source.lower() == "invoker":
            continue
        name = text_at(connection, "name") or text_at(entry, "connectionName") or ""
        logical_name = (
            _get_reference_logical_name(entry) or _get_reference_logical_name(connection) or ""
        )
        found.append(ConnectionUse(key=key, logical_name=logical_name, connection_id=name))
    return tuple(found)


def parse_embedded_connections(client_data: str) -> tuple[EmbeddedConnection, ...]:
    """Return the embedded connections of a definition, or none if the text has no definition."""
    return list_embedded_connections(_get_connection_references(_decode_client_data(client_data)))


def with_connection_references(client_data: str, logical_names: Mapping[str, str]) -> str:
    """Return a definition in which some connections use a connection reference.

    `logical_names` contains the connection reference for each key of `connectionReferences` to
    change. If it is empty, the text is returned byte for byte.
    """
    if not logical_names:
        return client_data
    document = _decode_client_data(client_data)
    references = _get_connection_references(document)
    for key, logical_name in logical_names.items():
        entry = references[key]
        entry.pop("connectionName", None)
        entry["connection"] = {"connectionReferenceLogicalName": logical_name}
    return json.dumps(document, separators=(",", ":"))


def is_bound_to(row: ConnectionReference, *, connector_id: str, connection_id: str) -> bool:
    """Return whether a reference is bound to this connection of this connector."""
    connector = row.connector_id.rstrip("/").rpartition("/")[2]
    wanted = connector_id.rstrip("/").rpartition("/")[2]
    return (connector.lower(), row.connection_id.lower()) == (
        wanted.lower(),
        connection_id.lower(),
    )


def derive_reference_id(
    environment_id: str, original_id: str, policy_id: str, connection: EmbeddedConnection
) -> str:
    """Derive the id of the connection reference that the copy uses for a connection."""
    place = f"{environment_id}/{original_id}/{policy_id}"
    which = connection.connection_id or f"invoker/{connection.key}"
    name = f"reference/{place}/{connection.connector}/{which}"
    return str(uuid.uuid5(NAMESPACE, name.lower()))


def build_logical_name(connection: EmbeddedConnection, reference: str) -> str:
    """Return the logical name of a new connection reference, from its connector and its id.

    It needs a customization prefix and has at most 200 characters
    (platform.md#connection-references).
    """
    connector = re.sub(r"[^a-z0-9]", "", connection.connector.lower())[:60]
    return f"cmk_{connector}_{reference.replace('-', '')[:12]}"


def _get_reference_logical_name(holder: Mapping[str, object]) -> str | None:
    return text_at(holder, "connectionReferenceLogicalName")


def _decode_client_data(client_data: str) -> object:
    return json.loads(client_data.removeprefix("\ufeff"))


def _get_connection_references(document: object) -> dict[str, dict[str, object]]:
    place = find_definition_place(as_mapping(document)) or ()
    found = mapping_at(as_mapping(document), *place[:-1], "connectionReferences")
    return {key: value for key, value in found.items() if isinstance(value, dict)}
