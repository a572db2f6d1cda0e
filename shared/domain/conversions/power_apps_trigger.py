"""Converts the trigger Power Apps (V1) into Power Apps (V2), and whatever reads its inputs.

V1 names an input after the action that asked for it (`Name_Value`), V2 after its type (`text`,
`text_1`); the name that people see becomes a title (platform.md#power-apps-triggers). V2 has
another signature: whoever looks after the app has to take the flow out of it and add it again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.domain.conversions.conversion import ConversionResult
from shared.domain.definitions.expressions import ExpressionReference, PathSegment, references_in
from shared.domain.definitions.flow_definition import definition_place
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at

type _Json = dict[str, Any]

#: JSON type of a V1 input → the V2 input's name, content hint and type. What is not here (files,
#: objects, `any`) has no V2 input that surely means the same.
_INPUTS = {
    "string": ("text", "TEXT", "string"),
    "boolean": ("boolean", "BOOLEAN", "boolean"),
    "number": ("number", "NUMBER", "number"),
    "integer": ("number", "NUMBER", "number"),
}
#: Members of a V1 input that are understood; another one may change what is accepted.
_UNDERSTOOD = frozenset({"type", "title", "description", "x-ms-powerflows-param-ispartial", "enum"})
_SUFFIX = "_Value"
#: What `trigger()` and `triggerOutputs()` hold beside the inputs: V2 has it too.
_ABOUT_RUN = frozenset({"name", "startTime", "endTime", "status", "code"})
_BESIDE_BODY = frozenset({"headers", "queries", "statusCode"})
#: An obstacle shows this much of an expression.
_LONGEST = 160


class _Obstacle(Exception):
    """Something cannot be converted surely; the text says what."""


def convert_power_apps_trigger(client_data: str) -> ConversionResult:
    """Return the definition with a V2 trigger; one without a V1 trigger as it is."""
    try:
        document: _Json = json.loads(client_data.removeprefix("\ufeff"))
        definition: Any = mapping_at(document, *(definition_place(document) or ()))
        every: _Json = definition.get("triggers") or {}
        triggers = [one for one in every.values() if _is_v1(one)]
        if not triggers:
            return ConversionResult(client_data=client_data)
        if len(every) != 1:
            raise _Obstacle("The flow has more than one trigger.")
        names = _convert_trigger(triggers[0])
        definition.update(_rewritten(definition, lambda text: _rewrite(text, names)))
    except _Obstacle as obstacle:
        return ConversionResult(client_data=client_data, obstacles=(str(obstacle),))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return ConversionResult(client_data=text)


def _is_v1(trigger: object) -> bool:
    raw = as_mapping(trigger)
    return text_at(raw, "type") == "Request" and text_at(raw, "kind") == "PowerApp"


def _convert_trigger(trigger: _Json) -> dict[str, str]:
    """Convert the trigger in place; return the new name of each input."""
    schema = mapping_at(trigger, "inputs", "schema")
    properties = mapping_at(schema, "properties")
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    converted: _Json = {}
    titles = {name: _title(name, as_mapping(value)) for name, value in properties.items()}
    for name, value in properties.items():
        base, hint, kind = _input(name, as_mapping(value))
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


def _input(name: str, value: Mapping[str, object]) -> tuple[str, str, str]:
    kind = text_at(value, "type") or ""
    if kind not in _INPUTS:
        raise _Obstacle(f"The input {name} is of the type {kind or 'unknown'}: V2 has none for it.")
    if strange := sorted(value.keys() - _UNDERSTOOD):
        raise _Obstacle(f"The input {name} is restricted in a way of its own: {strange[0]}.")
    return _INPUTS[kind]


def _title(name: str, value: Mapping[str, object]) -> str:
    return text_at(value, "title") or name.removesuffix(_SUFFIX) or name


# --- expressions ---------------------------------------------------------------------------------


def _rewritten(value: Any, rewrite: Callable[[str], str]) -> Any:
    """Return a JSON value with every text rewritten; names of members have to stay as they are."""
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, list):
        return [_rewritten(item, rewrite) for item in value]
    if isinstance(value, dict):
        for name in value:
            if rewrite(name) != name:
                raise _Obstacle(f"A member's name is an expression over the trigger: {name}")
        return {name: _rewritten(item, rewrite) for name, item in value.items()}
    return value


def _rewrite(text: str, names: Mapping[str, str]) -> str:
    edits = [edit for found in references_in(text) for edit in _edits(found, names)]
    for start, end, name in sorted(edits, reverse=True):
        text = text[:start] + name + text[end:]
    return text


def _edits(found: ExpressionReference, names: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield what to put where, for one function; raises `_Obstacle` if that cannot be told."""
    if not found.function.startswith("trigger"):
        return
    keys, member = found.keys, ""
    if found.function == "trigger":
        member, keys = _first(keys) or "", keys[1:]
        if member in _ABOUT_RUN:
            return
    elif found.function == "triggerbody":
        yield from _renamed(found, keys, names)
        return
    if member not in {"", "outputs"} or found.function not in {"trigger", "triggeroutputs"}:
        raise _whole(found)
    first, slash, rest = (_first(keys) or "").partition("/")
    if first in _BESIDE_BODY:
        return
    if first != "body":
        raise _whole(found)
    if not slash:
        yield from _renamed(found, keys[1:], names)
    elif rest in names:
        yield keys[0].start, keys[0].end, f"body/{names[rest]}"
    else:
        raise _undeclared(rest)


def _renamed(
    found: ExpressionReference, keys: tuple[PathSegment, ...], names: Mapping[str, str]
) -> Iterator[tuple[int, int, str]]:
    name = _first(keys)
    if name is None:
        raise _whole(found)
    if name not in names:
        raise _undeclared(name)
    yield keys[0].start, keys[0].end, names[name]


def _first(keys: tuple[PathSegment, ...]) -> str | None:
    return keys[0].name if keys else None


def _whole(found: ExpressionReference) -> _Obstacle:
    return _Obstacle(f"An expression reads the trigger as a whole: {found.text[:_LONGEST]}")


def _undeclared(name: str) -> _Obstacle:
    return _Obstacle(f"An expression reads {name}, which the trigger does not declare.")
