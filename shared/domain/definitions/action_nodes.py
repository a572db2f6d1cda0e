"""Walk all actions of a definition at any depth, without recursion."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at


class ActionNode(NamedTuple):
    """An action of a definition, with its path.

    It is a tuple to save memory: an environment has hundreds of thousands of actions.
    """

    name: str
    #: Names from the top of the definition, with `else`, `case:<name>` or `default` between them.
    path: str
    #: The action's `type`, or an empty text.
    type: str
    raw: Mapping[str, object]


def walk_actions(definition: Mapping[str, object]) -> Iterator[ActionNode]:
    """Yield every action in the order of the definition. A container comes before its actions."""
    stack: list[tuple[str, str, object]] = _list_action_entries("", definition.get("actions"))
    while stack:
        name, path, raw = stack.pop()
        if not isinstance(raw, dict):
            continue
        yield ActionNode(name=name, path=path, type=text_at(raw, "type") or "", raw=raw)
        if not _CONTAINING.isdisjoint(raw):
            for prefix, actions in reversed(list(_list_branches(path, raw))):
                stack.extend(_list_action_entries(prefix, actions))


#: Members that contain further actions. Most actions have none of them.
_CONTAINING = frozenset({"actions", "else", "cases", "default", "tools"})


def _list_branches(path: str, raw: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the path and content of each `actions` object inside an action.

    See platform.md#nested-actions.
    """
    yield path, raw.get("actions")
    yield f"{path}/else", mapping_at(raw, "else").get("actions")
    for name, case in mapping_at(raw, "cases").items():
        yield f"{path}/case:{name}", as_mapping(case).get("actions")
    yield f"{path}/default", mapping_at(raw, "default").get("actions")
    for name, tool in mapping_at(raw, "tools").items():
        yield f"{path}/tool:{name}", as_mapping(tool).get("actions")


def _list_action_entries(prefix: str, actions: object) -> list[tuple[str, str, object]]:
    """Return the entries of an `actions` object in reverse order, for a stack."""
    entries = [
        (name, f"{prefix}/{name}" if prefix else name, raw)
        for name, raw in as_mapping(actions).items()
    ]
    return entries[::-1]
