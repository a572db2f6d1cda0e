"""Convert the action *List flows as Admin (V1)* to V2 if the flow uses only what V2 returns.

V1 returned all properties of each flow. V2 returns `name` and four properties
(platform.md#list-flows-as-admin). The module follows the action's result through the flow's
expressions, loops and filters.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shared.domain.conversions.conversion import ConversionResult
from shared.domain.conversions.older_list_flows_action import (
    NEWER_TYPE,
    convert_to_newer_inputs,
    has_older_shape,
)
from shared.domain.definitions.action_nodes import ActionNode, walk_actions
from shared.domain.definitions.connector_operations import is_list_flows_as_admin_v1
from shared.domain.definitions.expressions import (
    ExpressionReference,
    PathSegment,
    find_function_calls,
    find_whole_reference,
)
from shared.domain.definitions.flow_definition import find_definition_place
from shared.domain.definitions.json_values import as_mapping, list_texts, mapping_at

V2_OPERATION = "ListFlowsInEnvironment_V2"

#: The shape of what V2 returns: an object is a dict, a list is a list of one element, and None is a
#: value that may be used in any way.
type _Shape = list[Any] | dict[str, Any] | None
_PROPERTIES: _Shape = dict.fromkeys(("displayName", "state", "createdTime", "lastModifiedTime"))
_FLOWS: _Shape = [{"name": None, "properties": _PROPERTIES}]
_BODY: _Shape = {"value": _FLOWS, "nextLink": None, "@odata.nextLink": None}
_OUTPUTS: _Shape = {"body": _BODY, "headers": None, "statusCode": None}
#: Sentinels, compared by identity: a value that does not come from the result; a part of V1's
#: result that V2 does not return.
_FOREIGN: _Shape = {}
_MISSING: _Shape = {}

#: An obstacle quotes at most this many characters of an expression.
_LONGEST = 160

#: Functions of a whole list that read nothing inside it.
_COUNTING = frozenset({"length", "empty"})
#: Actions that process each item of a list, and the input that names the list.
_LISTS_OVER = {"Query": "from", "Select": "from", "Table": "from"}
_NESTED = frozenset({"actions", "else", "cases", "default", "tools"})


class _Result(NamedTuple):
    """The shapes of what `outputs()` and `body()` of an action return."""

    outputs: _Shape
    body: _Shape


class _Found(NamedTuple):
    results: dict[str, _Result]
    #: The shape of a loop's item.
    items: dict[str, _Shape]
    #: Every loop, whatever list it processes.
    loops: frozenset[str]


def convert_list_flows(client_data: str) -> ConversionResult:
    """Return the definition with *List flows as Admin (V2)* instead of V1, or the obstacles."""
    document: dict[str, Any] = json.loads(client_data.removeprefix("\ufeff"))
    place = find_definition_place(document) or ()
    definition = mapping_at(document, *place)
    references = mapping_at(mapping_at(document, *place[:-1]), "connectionReferences")
    steps = list(walk_actions(definition))
    lists = [step for step in steps if is_list_flows_as_admin_v1(step.raw, references)]
    if not lists:
        return ConversionResult(client_data=client_data)
    obstacles = [found for step in lists for found in _find_action_obstacles(step)]
    obstacles += _find_reader_obstacles(definition, steps, lists)
    if obstacles:
        return ConversionResult(client_data=client_data, obstacles=tuple(dict.fromkeys(obstacles)))
    for step in lists:
        _convert_action(step)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return ConversionResult(client_data=text)


def _convert_action(step: ActionNode) -> None:
    raw: Any = step.raw
    if has_older_shape(raw):
        raw["type"], raw["inputs"] = NEWER_TYPE, convert_to_newer_inputs(raw, V2_OPERATION)
    raw["inputs"]["host"]["operationId"] = V2_OPERATION
    system = mapping_at(raw, "metadata", "flowSystemMetadata")
    if "swaggerOperationId" in system:
        raw["metadata"]["flowSystemMetadata"]["swaggerOperationId"] = V2_OPERATION


def _find_action_obstacles(step: ActionNode) -> Iterator[str]:
    if has_older_shape(step.raw):
        if convert_to_newer_inputs(step.raw, V2_OPERATION) is None:
            yield (
                f"The action {step.name} has the older connector format, with a path or members "
                "that the app does not know."
            )
    elif mapping_at(step.raw, "inputs", "parameters").keys() - {"environmentName"}:
        yield f"The action {step.name} has additional parameters."


def _find_reader_obstacles(
    definition: Mapping[str, object], steps: list[ActionNode], lists: list[ActionNode]
) -> Iterator[str]:
    flow = _find_result_shapes(steps, lists)
    around = {name.lower() for step in lists for name in step.path.split("/")[:-1]}
    for step in steps:
        for text in _list_own_texts(step):
            for found in find_function_calls(text):
                if not _is_supported_use(found, text, step, flow):
                    yield f"{step.name} reads what V2 does not return: {found.text[:_LONGEST]}"
                elif found.function == "result" and (found.argument or "").lower() in around:
                    yield f"{step.name} reads all results of its scope: {found.text[:_LONGEST]}"
    for text in list_texts(definition.get("outputs")):
        for found in find_function_calls(text):
            if _find_call_shape(found, flow, _FOREIGN) is not _FOREIGN:
                yield f"The flow's outputs contain the list: {found.text[:_LONGEST]}"


def _list_own_texts(step: ActionNode) -> Iterator[str]:
    """Yield the texts of an action, but not those of actions inside it."""
    for member, value in step.raw.items():
        if member not in _NESTED:
            yield from list_texts(value)


def _find_result_shapes(steps: list[ActionNode], lists: list[ActionNode]) -> _Found:
    loops = frozenset(step.name.lower() for step in steps if step.type == "Foreach")
    flow = _Found({step.name.lower(): _Result(_OUTPUTS, _BODY) for step in lists}, {}, loops)
    known = -1
    while known != len(flow.results) + len(flow.items):
        known = len(flow.results) + len(flow.items)
        for step in steps:
            _note_result_shape(step, flow)
    return flow


def _note_result_shape(step: ActionNode, flow: _Found) -> None:
    shape = _find_passed_shape(step, flow)
    if shape is _FOREIGN:
        return
    name = step.name.lower()
    match step.type:
        case "Foreach" | "Select" | "Table" if isinstance(shape, list):
            flow.items[name] = shape[0]
        case "Query" if isinstance(shape, list):
            flow.items[name] = shape[0]
            flow.results[name] = _Result({"body": shape}, shape)
        case "Compose":
            flow.results[name] = _Result(shape, shape)
        case "ParseJson":
            flow.results[name] = _Result({"body": shape}, shape)


def _find_passed_input(step: ActionNode) -> object:
    """Return the input that an action takes as a whole and hands on to other actions."""
    inputs = mapping_at(step.raw, "inputs")
    match step.type:
        case "Foreach":
            return step.raw.get("foreach")
        case "Query" | "Select" | "Table":
            return inputs.get(_LISTS_OVER[step.type])
        case "Compose":
            return step.raw.get("inputs")
        case "ParseJson":
            return inputs.get("content")
    return None


def _find_passed_shape(step: ActionNode, flow: _Found) -> _Shape:
    found = find_whole_reference(_find_passed_input(step))
    shape = (
        _find_call_shape(found, flow, _find_enclosing_item_shape(step, flow)) if found else _FOREIGN
    )
    if found is None or shape is _FOREIGN:
        return _FOREIGN
    reached = _find_shape_at_path(shape, found.keys)
    return _FOREIGN if reached is _MISSING else reached


def _is_supported_use(
    found: ExpressionReference, text: str, step: ActionNode, flow: _Found
) -> bool:
    handed_on = _find_passed_input(step)
    item = _find_enclosing_item_shape(step, flow)
    if step.type in _LISTS_OVER and text != handed_on:
        item = flow.items.get(step.name.lower(), _FOREIGN)
    shape = _find_call_shape(found, flow, item)
    if shape is _FOREIGN:
        return True
    reached = _find_shape_at_path(shape, found.keys)
    if reached is None:
        return True
    if reached is _MISSING:
        return False
    # The whole list or flow is used: allowed if its use is followed further, or if it is only
    # counted.
    if isinstance(reached, list) and found.inside in _COUNTING:
        return True
    is_auto_table = step.type == "Table" and not mapping_at(step.raw, "inputs").get("columns")
    return text == handed_on and find_whole_reference(text) is not None and not is_auto_table


def _find_call_shape(found: ExpressionReference, flow: _Found, item: _Shape) -> _Shape:
    """Return the shape of what a function call returns.

    `item` is the shape of `item()` where the function is called.
    """
    name = (found.argument or "").lower()
    match found.function:
        case "body" if name in flow.results:
            return flow.results[name].body
        case "outputs" if name in flow.results:
            return flow.results[name].outputs
        case "actions" if name in flow.results:
            outputs = flow.results[name].outputs
            return {"outputs": outputs, **dict.fromkeys(("status", "code", "startTime", "endTime"))}
        case "items" if name in flow.items:
            return flow.items[name]
        case "item":
            return item
    return _FOREIGN


def _find_enclosing_item_shape(step: ActionNode, flow: _Found) -> _Shape:
    around = [name.lower() for name in step.path.split("/")[:-1]]
    loop = next((name for name in reversed(around) if name in flow.loops), None)
    return flow.items.get(loop, _FOREIGN) if loop else _FOREIGN


def _find_shape_at_path(shape: _Shape, keys: tuple[PathSegment, ...]) -> _Shape:
    """Return the shape at the end of a path.

    Returns `_MISSING` if V2 does not return that member.
    """
    for key in keys:
        if isinstance(shape, list):
            shape = shape[0] if key.is_index else _MISSING
            continue
        for name in (key.name or "").split("/"):
            if shape is None:
                return None
            shape = as_mapping(shape).get(name, _MISSING)  # type: ignore[assignment]  # our own
    return shape
