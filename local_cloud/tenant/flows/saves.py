"""Reject saves of definitions, and cause the damage that a rejected save may do.

Both APIs that save definitions, Dataverse and the flow service, use this module. Why the platform
rejects the older connector format is not published, so this is an assumption. See
platform.md#connector-shapes, #rejected-saves.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.flow_facts import (
    InvalidDefinitionError,
    parse_client_data,
    walk_actions,
)

#: What an update changes of a flow.
_IN_TRANSACTION = (
    "client_data",
    "_facts",
    "saved_variables",
    "display_name",
    "description",
    "owner",
    "next_due",
)
_CONNECTOR_TYPES = ("OpenApiConnection", "ApiConnection")


def require_savable(assumptions: Assumptions, client_data: str) -> None:
    """Reject a definition that the platform never accepts."""
    try:
        if assumptions.older_host_shapes_refused:
            require_reference_hosts(client_data)
        require_known_references(client_data)
    except InvalidDefinitionError as error:
        raise SimulatedPlatformError(400, "InvalidTemplate", str(error)) from error


def require_savable_update(
    assumptions: Assumptions, flow: Flow, client_data: str, now: datetime
) -> None:
    """Reject a save of an existing flow that the platform does not accept, or not yet."""
    require_savable(assumptions, client_data)
    if flow.stamped_reference:
        raise build_reference_not_found_error(
            flow.stamped_reference, find_first_operation(client_data)
        )
    if flow.state == SimulatedFlowState.STARTED and assumptions.unpublished_row_seconds:
        flow.saves_pass_from = flow.saves_pass_from or now + timedelta(
            seconds=assumptions.unpublished_row_seconds
        )
        if now < flow.saves_pass_from:
            raise build_unpublished_row_error()


def require_reference_hosts(client_data: str) -> None:
    """Reject operations with `authentication`, or without the name of a connection reference."""
    for name, kind, inputs in _list_operations(client_data):
        what = f"The 'inputs' of workflow run action '{name}' of type '{kind}'"
        if "authentication" in inputs:
            raise SimulatedPlatformError(
                400,
                "WorkflowRunActionInputsInvalidProperty",
                f"{what} should not have the property 'authentication'.",
            )
        if not (inputs.get("host") or {}).get("connectionReferenceName"):
            raise SimulatedPlatformError(
                400,
                "WorkflowRunActionInputsMissingProperty",
                f"{what} is not valid. Property 'host.connectionReferenceName' is missing.",
            )


def require_known_references(client_data: str) -> None:
    """Reject operations whose connection reference the definition does not contain."""
    known = parse_client_data(client_data).get("connectionReferences") or {}
    for name, _, inputs in _list_operations(client_data):
        key = (inputs.get("host") or {}).get("connectionReferenceName")
        if key and key not in known:
            raise build_reference_not_found_error(key, name)


def find_first_operation(client_data: str) -> str:
    """Return the operation that the platform names in an error about a whole definition."""
    return next((name for name, _, _ in _list_operations(client_data)), "manual")


def build_reference_not_found_error(reference: str, operation: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(
        400,
        "WorkflowRunActionInputsInvalidProperty",
        f"The API connection reference '{reference}' could not be found for the operation "
        f"'{operation}'.",
    )


def build_unpublished_row_error() -> SimulatedPlatformError:
    """Return the error for a save of a flow whose active row is not published yet.

    The error code is published by Microsoft; the message is assumed.
    """
    return SimulatedPlatformError(
        400, "0x80040203", "The active row of the workflow is not published, so it is not updated."
    )


@contextmanager
def empty_references_if_rejected(assumptions: Assumptions, flow: Flow) -> Iterator[None]:
    """Empty a flow's connection references if a save inside the block is rejected.

    Does so only if the tenant assumes it. The time of the last change and the row's version stay.
    """
    try:
        yield
    except SimulatedPlatformError:
        emptied = without_references(flow.client_data)
        if assumptions.refused_saves_wipe_references and emptied is not None:
            flow.save(emptied)
            flow.references_wiped += 1
        raise


@contextmanager
def restore_if_rejected(flow: Flow) -> Iterator[None]:
    """Restore a flow if the request is rejected inside the block."""
    before = {name: getattr(flow, name) for name in _IN_TRANSACTION}
    try:
        yield
    except SimulatedPlatformError:
        for name, value in before.items():
            setattr(flow, name, value)
        raise


def without_references(client_data: str) -> str | None:
    document = json.loads(client_data)
    if not document["properties"].get("connectionReferences"):
        return None
    document["properties"]["connectionReferences"] = {}
    return json.dumps(document)


def with_added_references(client_data: str, logical_names: dict[str, str]) -> tuple[str, str]:
    """Return a definition with the names of connection references that the platform adds.

    Each connector without a name gets its name in `logical_names`. The second result is the last
    added name, or an empty text.
    """
    document, stamp = json.loads(client_data), ""
    for key, entry in (document["properties"].get("connectionReferences") or {}).items():
        connection = entry.setdefault("connection", {})
        name = logical_names.get(str((entry.get("api") or {}).get("name") or key))
        if name and not connection.get("connectionReferenceLogicalName"):
            connection["connectionReferenceLogicalName"] = stamp = name
    return (json.dumps(document), stamp) if stamp else (client_data, "")


def convert_to_runtime_shape(definition: dict[str, Any]) -> dict[str, Any]:
    """Convert a definition in place to the format in which the flow service returns it.

    The platform rejects a save in this format.
    """
    for _, _, inputs in _list_operations_of(definition):
        host = inputs.get("host") or {}
        if key := host.pop("connectionReferenceName", None):
            host["connectionName"] = key
        inputs.setdefault("authentication", "@parameters('$authentication')")
    return definition


def _list_operations(client_data: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return _list_operations_of(parse_client_data(client_data)["definition"])


def _list_operations_of(definition: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the name, type and inputs of each connector operation, including the trigger."""
    for name, step in [*definition["triggers"].items(), *walk_actions(definition["actions"])]:
        kind, inputs = str(step.get("type")), step.get("inputs")
        if kind.startswith(_CONNECTOR_TYPES) and isinstance(inputs, dict):
            yield name, kind, inputs
