"""What a save is refused for, and the harm that a refused one may do.

Both APIs that save definitions, Dataverse and the flow service, ask here. What makes the platform
refuse the older shapes of connector operations is not published, so it is an assumption.

See platform.md#connector-shapes, #rejected-saves.
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
    """Refuse a definition that neither a create nor an update takes."""
    try:
        if assumptions.older_host_shapes_refused:
            require_reference_hosts(client_data)
        require_known_references(client_data)
    except InvalidDefinitionError as error:
        raise SimulatedPlatformError(400, "InvalidTemplate", str(error)) from error


def require_savable_again(
    assumptions: Assumptions, flow: Flow, client_data: str, now: datetime
) -> None:
    """Refuse an update that this flow does not take, or does not take yet."""
    require_savable(assumptions, client_data)
    if flow.stamped_reference:
        raise reference_not_found(flow.stamped_reference, first_operation(client_data))
    if flow.state == SimulatedFlowState.STARTED and assumptions.unpublished_row_seconds:
        flow.saves_pass_from = flow.saves_pass_from or now + timedelta(
            seconds=assumptions.unpublished_row_seconds
        )
        if now < flow.saves_pass_from:
            raise unpublished_row()


def require_reference_hosts(client_data: str) -> None:
    """Refuse a definition with an operation that brings `authentication` or no reference name."""
    for name, kind, inputs in _operations(client_data):
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
    """Refuse an operation in the newer shape whose reference the definition does not bring."""
    known = parse_client_data(client_data).get("connectionReferences") or {}
    for name, _, inputs in _operations(client_data):
        key = (inputs.get("host") or {}).get("connectionReferenceName")
        if key and key not in known:
            raise reference_not_found(key, name)


def first_operation(client_data: str) -> str:
    """Name the operation that a refusal of the whole definition names."""
    return next((name for name, _, _ in _operations(client_data)), "manual")


def reference_not_found(reference: str, operation: str) -> SimulatedPlatformError:
    """The refusal of a connection reference that the service does not find."""
    return SimulatedPlatformError(
        400,
        "WorkflowRunActionInputsInvalidProperty",
        f"The API connection reference '{reference}' could not be found for the operation "
        f"'{operation}'.",
    )


def unpublished_row() -> SimulatedPlatformError:
    """The refusal that passes by itself. Its code is published, its text is not (assumed)."""
    return SimulatedPlatformError(
        400, "0x80040203", "The active row of the workflow is not published, so it is not updated."
    )


@contextmanager
def stop_flow_when_refused(assumptions: Assumptions, flow: Flow) -> Iterator[None]:
    """Let a refused save empty the flow's connection references, if the platform does so.

    Neither the time of the last change nor the row's version moves.
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
def undo_when_refused(flow: Flow) -> Iterator[None]:
    """Take back what a call changed before it was refused: a call is a transaction."""
    before = {name: getattr(flow, name) for name in _IN_TRANSACTION}
    try:
        yield
    except SimulatedPlatformError:
        for name, value in before.items():
            setattr(flow, name, value)
        raise


def without_references(client_data: str) -> str | None:
    """A definition with its connection references gone; None: it has none."""
    document = json.loads(client_data)
    if not document["properties"].get("connectionReferences"):
        return None
    document["properties"]["connectionReferences"] = {}
    return json.dumps(document)


def with_stamp(client_data: str, logical_names: dict[str, str]) -> tuple[str, str]:
    """A definition as the platform may store it, and the last logical name that it added.

    It adds the name of a reference of that connector (`logical_names`) where the caller sent none.
    """
    document, stamp = json.loads(client_data), ""
    for key, entry in (document["properties"].get("connectionReferences") or {}).items():
        connection = entry.setdefault("connection", {})
        name = logical_names.get(str((entry.get("api") or {}).get("name") or key))
        if name and not connection.get("connectionReferenceLogicalName"):
            connection["connectionReferenceLogicalName"] = stamp = name
    return (json.dumps(document), stamp) if stamp else (client_data, "")


def convert_to_runtime_shape(definition: dict[str, Any]) -> dict[str, Any]:
    """A definition, changed in its place, as the flow service shows it: no save takes it so."""
    for _, _, inputs in _operations_of(definition):
        host = inputs.get("host") or {}
        if key := host.pop("connectionReferenceName", None):
            host["connectionName"] = key
        inputs.setdefault("authentication", "@parameters('$authentication')")
    return definition


def _operations(client_data: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    return _operations_of(parse_client_data(client_data)["definition"])


def _operations_of(definition: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield name, type and inputs of each connector operation, the trigger's too."""
    for name, step in [*definition["triggers"].items(), *walk_actions(definition["actions"])]:
        kind, inputs = str(step.get("type")), step.get("inputs")
        if kind.startswith(_CONNECTOR_TYPES) and isinstance(inputs, dict):
            yield name, kind, inputs
