"""Find the flows in a decoded JSON document of any shape.

A document may be one flow, a page of a listing, Dataverse rows whose `clientdata` is JSON inside
JSON, or an Azure Resource Manager template with Logic Apps among other resources.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shared.domain.definitions.flow_definition import (
    FlowDefinition,
    find_definition_place,
    parse_client_data,
)
from shared.domain.definitions.json_values import as_mapping, mapping_at, parse_json_value, text_at


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowInDocument:
    """A flow that was found in a document, with its place there."""

    #: JSON path of its definition, such as `$.properties.definition`.
    definition_pointer: str
    #: In lower case: the Dataverse id if the document has it, else the flow service's name.
    workflow_id: str | None
    name: str | None
    definition: FlowDefinition
    #: The flow with its surrounding object; may hold signatures.
    resource: Mapping[str, object] = field(repr=False)


def find_flows_in_document(document: object) -> Iterator[FlowInDocument]:
    """Yield the flows of a document in order. Does not search inside a flow."""
    stack: list[tuple[str, object]] = [("$", document)]
    while stack:
        pointer, value = stack.pop()
        if isinstance(value, list):
            inner = [(i, item) for i, item in enumerate(value) if _may_hold_flows(item)]
            stack += [(f"{pointer}[{i}]", item) for i, item in inner[::-1]]
        elif isinstance(value, dict):
            flow = _parse_flow(pointer, value)
            if flow:
                yield flow
            else:
                members = [(k, item) for k, item in value.items() if _may_hold_flows(item)]
                stack += [(f"{pointer}.{name}", member) for name, member in members[::-1]]


def _may_hold_flows(value: object) -> bool:
    """Return whether a value can contain a flow. A file may have millions of values that cannot."""
    return isinstance(value, dict | list) and bool(value)


def _parse_flow(pointer: str, value: Mapping[str, object]) -> FlowInDocument | None:
    place = find_definition_place(value)
    if place is not None:
        return _build_flow(".".join([pointer, *place]), value, row={})
    client_data = text_at(value, "clientdata")
    if client_data is None:
        return None
    try:
        inner = as_mapping(parse_json_value(client_data))
    except ValueError:
        # The row of a desktop flow; a cloud flow's `clientdata` is always JSON
        # (platform.md#client-data).
        return None
    place = find_definition_place(inner)
    if place is None:
        return None
    return _build_flow(".".join([pointer, "clientdata", *place]), inner, row=value)


def _build_flow(
    pointer: str, resource: Mapping[str, object], row: Mapping[str, object]
) -> FlowInDocument:
    definition = parse_client_data(resource)
    name = text_at(resource, "name")
    # The `name` of a Logic App is its name; that of a flow is its id, and people see the display
    # name.
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
