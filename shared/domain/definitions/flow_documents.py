"""Finds the flows in a decoded JSON document, whatever holds them.

One file may be one flow, a page of a listing, rows of Dataverse whose `clientdata` is JSON inside
JSON, or an Azure Resource Manager template with Logic Apps among other resources.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.domain.definitions.flow_definition import (
    FlowDefinition,
    definition_place,
    parse_client_data,
)
from shared.domain.definitions.json_values import as_mapping, decoded, mapping_at, text_at


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowInDocument:
    """One flow of a document."""

    #: where its definition stands, as a JSON path: `$.properties.definition`
    definition_pointer: str
    #: in lower case; the Dataverse id where the document has it, else the Flow service's name
    workflow_id: str | None
    name: str | None
    definition: FlowDefinition
    #: the flow with what surrounds it; may hold signatures
    resource: Mapping[str, object] = field(repr=False)


def find_flows(document: object) -> Iterator[FlowInDocument]:
    """Yield the flows of a document in order; nothing inside a flow is taken for another one."""
    stack: list[tuple[str, object]] = [("$", document)]
    while stack:
        pointer, value = stack.pop()
        if isinstance(value, list):
            inner = [(i, item) for i, item in enumerate(value) if _may_hold_flows(item)]
            stack += [(f"{pointer}[{i}]", item) for i, item in inner[::-1]]
        elif isinstance(value, dict):
            flow = _flow(pointer, value)
            if flow:
                yield flow
            else:
                members = [(k, item) for k, item in value.items() if _may_hold_flows(item)]
                stack += [(f"{pointer}.{name}", member) for name, member in members[::-1]]


def _may_hold_flows(value: object) -> bool:
    """Say whether to look inside: a file may hold millions of values that are no flows."""
    return isinstance(value, dict | list) and bool(value)


def _flow(pointer: str, value: Mapping[str, object]) -> FlowInDocument | None:
    place = definition_place(value)
    if place is not None:
        return _found(".".join([pointer, *place]), value, row={})
    client_data = text_at(value, "clientdata")
    if client_data is None:
        return None
    try:
        inner = as_mapping(decoded(client_data))
    except ValueError:
        # A desktop flow's row; a cloud flow's always is JSON (platform.md#client-data).
        return None
    place = definition_place(inner)
    if place is None:
        return None
    return _found(".".join([pointer, "clientdata", *place]), inner, row=value)


def _found(
    pointer: str, resource: Mapping[str, object], row: Mapping[str, object]
) -> FlowInDocument:
    definition = parse_client_data(resource)
    name = text_at(resource, "name")
    # A Logic App's name is a name; a flow's is its id, and its title is the display name.
    is_flow = (
        (text_at(resource, "type") or "").lower().startswith(("microsoft.flow", "microsoft.p"))
    )
    workflow_id = (
        text_at(row, "workflowid")
        or text_at(mapping_at(resource, "properties"), "workflowEntityId")
        or (name if is_flow else None)
    )
    return FlowInDocument(
        definition_pointer=pointer,
        workflow_id=workflow_id.lower() if workflow_id else None,
        name=text_at(row, "name") or definition.name or (None if is_flow else name),
        definition=definition,
        resource=resource,
    )
