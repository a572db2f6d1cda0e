"""Convert the trigger Power Apps (V1) to V2, with every expression that reads its inputs.

V1 names an input after the action that asked for it (`Name_Value`). V2 names it after its type
(`text`, `text_1`); its title is the name that people see (platform.md#power-apps-triggers). Since
V2 takes other parameters, the app's maker has to remove the flow from the app and add it again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.domain.conversions.conversion import ConversionResult
from shared.domain.definitions.expressions import (
    ExpressionReference,
    PathSegment,
    find_function_calls,
)
from shared.domain.definitions.flow_definition import find_definition_place
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

type _Json = dict[str, Any]

#: JSON type of a V1 input → name, content hint and type of the V2 input. Types that are not listed
#: (files, objects, `any`) have no V2 input that safely means the same.
_INPUTS = {
    "string": ("text", "TEXT", "string"),
    "boolean": ("boolean", "BOOLEAN", "boolean"),
    "number": ("number", "NUMBER", "number"),
    "integer": ("number", "NUMBER", "number"),
}
#: Members of a V1 input that the conversion knows. Any other member may restrict the accepted
#: values.
_UNDERSTOOD = frozenset({"type", "title", "description", "x-ms-powerflows-param-ispartial", "enum"})
_SUFFIX = "_Value"
#: What `trigger()` and `triggerOutputs()` return beside the inputs, in V2 too.
_ABOUT_RUN = frozenset({"name", "startTime", "endTime", "status", "code"})
_BESIDE_BODY = frozenset({"headers", "queries", "statusCode"})
#: An obstacle quotes at most this many characters of an expression.
_LONGEST = 160


class _Obstacle(Exception):
    """A part of the definition cannot be converted safely. The text says which."""


def convert_power_apps_trigger(client_data: str) -> ConversionResult:
    """Return the definition with the trigger Power Apps (V2) instead of V1, or the obstacles."""
    try:
        document: _Json = json.loads(client_data.removeprefix("\ufeff"))
        definition: Any = mapping_at(document, *(find_definition_place(document) or ()))
        every: _Json = definition.get("triggers") or {}
        triggers = [one for one in every.values() if _is_v1_trigger(one)]
        if not triggers:
            return ConversionResult(client_data=client_data)
        if len(every) != 1:
            raise _Obstacle("The flow has more than one trigger.")
        names = _convert_trigger(triggers[0])
        definition.update(
            _rewrite_texts(definition, lambda text: _rewrite_expressions(text, names))
        )
    except _Obstacle as obstacle:
        return ConversionResult(client_data=client_data, obstacles=(str(obstacle),))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return ConversionResult(client_data=text)


def _is_v1_trigger(trigger: object) -> bool:
    raw = as_mapping(trigger)
    return text_at(raw, "type") == "Request" and text_at(raw, "kind") == "PowerApp"


def _convert_trigger(trigger: _Json) -> dict[str, str]:
    """Convert the trigger in place. Returns the new name of each input by its old name."""
    schema = mapping_at(trigger, "inputs", "schema")
    properties = mapping_at(schema, "properties")
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    converted: _Json = {}
    titles = {
        name: _choose_input_title(name, as_mapping(value)) for name, value in properties.items()
    }
    for name, value in properties.items():
        base, hint, kind = _parse_trigger_input(name, as_mapping(value))
        count = counts[base] = counts.get(base, -1) + 1
        names[name] = f"{base}_{count}" if count else base
        is_taken = list(titles.values()).count(titles[name]) > 1
        kept = {key: as_mapping(value)[key] for key in ("enum",) if key in as_mapping(value)}
        converted[names[name]] = {
            "title": name if is_taken else titles[name],
            "type": kind,
            "x-ms-dynamically-added": True,
            "description": text_at(as_mapping(value), "description") or "Please enter your input",
            "x-ms-content-hint": hint,
            **kept,
        }
    required = schema.get("required") or []
    if not isinstance(required, list) or any(str(name) not in names for name in required):
        raise _Obstacle("The trigger requires an input that it does not declare.")
    trigger["kind"] = "PowerAppV2"
    trigger["inputs"] = {
        **mapping_at(trigger, "inputs"),
        "schema": {
            **schema,
            "type": "object",
            "properties": converted,
            "required": [names[str(name)] for name in required],
        },
    }
    return names


def _parse_trigger_input(name: str, value: Mapping[str, object]) -> tuple[str, str, str]:
    kind = text_at(value, "type") or ""
    if kind not in _INPUTS:
        raise _Obstacle(
            f"The input {name} has the type {kind or 'unknown'}, which V2 does not support."
        )
    if strange := sorted(value.keys() - _UNDERSTOOD):
        raise _Obstacle(
            f"The input {name} has a restriction that the app does not know: {strange[0]}."
        )
    return _INPUTS[kind]


def _choose_input_title(name: str, value: Mapping[str, object]) -> str:
    return text_at(value, "title") or name.removesuffix(_SUFFIX) or name


# --- expressions ---------------------------------------------------------------------


def _rewrite_texts(value: Any, rewrite: Callable[[str], str]) -> Any:
    """Return a JSON value with every text rewritten.

    Raises `_Obstacle` if the name of a member would change.
    """
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, list):
        return [_rewrite_texts(item, rewrite) for item in value]
    if isinstance(value, dict):
        for name in value:
            if rewrite(name) != name:
                raise _Obstacle(
                    f"The name of a member is an expression that reads the trigger: {name}"
                )
        return {name: _rewrite_texts(item, rewrite) for name, item in value.items()}
    return value


def _rewrite_expressions(text: str, names: Mapping[str, str]) -> str:
    edits = [
        edit for found in find_function_calls(text) for edit in _find_input_renames(found, names)
    ]
    for start, end, name in sorted(edits, reverse=True):
        text = text[:start] + name + text[end:]
    return text


def _find_input_renames(
    found: ExpressionReference, names: Mapping[str, str]
) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end and the new text of an input's name in a function call.

    Raises `_Obstacle` if the call may read an input that cannot be renamed.
    """
    if not found.function.startswith("trigger"):
        return
    keys, member = found.keys, ""
    if found.function == "trigger":
        member, keys = _get_first_name(keys) or "", keys[1:]
        if member in _ABOUT_RUN:
            return
    elif found.function == "triggerbody":
        yield from _find_input_name_edit(found, keys, names)
        return
    if member not in {"", "outputs"} or found.function not in {"trigger", "triggeroutputs"}:
        raise _build_whole_trigger_obstacle(found)
    first, slash, rest = (_get_first_name(keys) or "").partition("/")
    if first in _BESIDE_BODY:
        return
    if first != "body":
        raise _build_whole_trigger_obstacle(found)
    if not slash:
        yield from _find_input_name_edit(found, keys[1:], names)
    elif rest in names:
        yield keys[0].start, keys[0].end, f"body/{names[rest]}"
    else:
        raise _build_undeclared_input_obstacle(rest)


def _find_input_name_edit(
    found: ExpressionReference, keys: tuple[PathSegment, ...], names: Mapping[str, str]
) -> Iterator[tuple[int, int, str]]:
    name = _get_first_name(keys)
    if name is None:
        raise _build_whole_trigger_obstacle(found)
    if name not in names:
        raise _build_undeclared_input_obstacle(name)
    yield keys[0].start, keys[0].end, names[name]


def _get_first_name(keys: tuple[PathSegment, ...]) -> str | None:
    return keys[0].name if keys else None


def _build_whole_trigger_obstacle(found: ExpressionReference) -> _Obstacle:
    return _Obstacle(f"An expression reads the trigger as a whole: {found.text[:_LONGEST]}")


def _build_undeclared_input_obstacle(name: str) -> _Obstacle:
    return _Obstacle(f"An expression reads {name}, which the trigger does not declare.")
