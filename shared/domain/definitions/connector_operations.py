"""Find out which connector, and which of its operations, a trigger or an action uses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.definitions.json_values import mapping_at, text_at

_CONNECTIONS_PARAMETER = re.compile(r"parameters\('\$connections'\)\['([^']+)'\]")
_MANAGEMENT_CONNECTOR = "shared_flowmanagement"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorOperation:
    """An operation of a connector: the connector's name and the operation's id.

    A connector's name is, for example, `shared_teams`, or in Logic Apps `office365`.
    """

    connector: str | None
    operation_id: str | None


def get_connector_operation(
    step: Mapping[str, object], connection_references: Mapping[str, object]
) -> ConnectorOperation:
    """Return the connector and the operation id of a trigger or action, as far as it names them."""
    inputs = mapping_at(step, "inputs")
    host = mapping_at(inputs, "host")
    metadata = mapping_at(step, "metadata", "flowSystemMetadata")
    return ConnectorOperation(
        connector=_find_connector_name(host, connection_references),
        # In older connector actions, only the metadata has the operation id
        # (platform.md#list-flows-as-admin).
        operation_id=text_at(host, "operationId")
        or text_at(inputs, "operationId")
        or text_at(metadata, "swaggerOperationId"),
    )


def is_list_flows_as_admin_v1(
    step: Mapping[str, object], connection_references: Mapping[str, object]
) -> bool:
    """Return whether an action is *List flows as Admin (V1)* (platform.md#list-flows-as-admin)."""
    host = mapping_at(step, "inputs", "host")
    if not host or _find_connector_name(host, connection_references) != _MANAGEMENT_CONNECTOR:
        return False
    operation = get_connector_operation(step, connection_references)
    if operation.operation_id:
        return operation.operation_id == "ListFlowsInEnvironment"
    inputs = mapping_at(step, "inputs")
    is_read = (text_at(inputs, "method") or "get").lower() == "get"
    # A nested expression in the path may contain slashes, so it is replaced first.
    path = re.sub(r"@\{[^}]*\}", "x", text_at(inputs, "path") or "")
    return is_read and bool(re.fullmatch(r"/scopes/admin/environments/[^/]+/flows/?", path))


def find_connection_key(host: Mapping[str, object]) -> str | None:
    """Return the key in `connectionReferences` that an operation's `host` names, or None."""
    name = (
        text_at(host, "connectionReferenceName")
        or text_at(host, "connectionName")
        or text_at(mapping_at(host, "connection"), "referenceName")
    )
    if name is not None:
        return name
    # Until 2020, an action named its connection through a parameter (platform.md#connector-shapes).
    parameter = text_at(mapping_at(host, "connection"), "name") or ""
    found = _CONNECTIONS_PARAMETER.search(parameter)
    return found[1] if found else None


def _find_connector_name(
    host: Mapping[str, object], connection_references: Mapping[str, object]
) -> str | None:
    if api_id := text_at(host, "apiId"):
        return _get_last_segment(api_id)
    name = find_connection_key(host)
    if name is None:
        return None
    return _find_referenced_connector(mapping_at(connection_references, name)) or _remove_suffix(
        name
    )


def _find_referenced_connector(reference: Mapping[str, object]) -> str | None:
    api = mapping_at(reference, "api")
    api_id = text_at(reference, "id") or text_at(api, "id")
    return text_at(api, "name") or (_get_last_segment(api_id) if api_id else None)


def _remove_suffix(name: str) -> str:
    """Return `shared_commondataservice` for `shared_commondataservice_4`.

    Also removes `-2`, as in Logic Apps.
    """
    return re.sub(r"[-_]\d+$", "", name)


def _get_last_segment(resource_id: str) -> str:
    return resource_id.rstrip("/").rsplit("/", 1)[-1]
