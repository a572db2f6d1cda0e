"""Walks every action of a definition, however deep it sits.

Real definitions nest twelve levels: the walk keeps its own stack instead of recursing.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at


class ActionNode(NamedTuple):
    """One action and where it stands. A tuple: an environment has hundreds of thousands."""

    name: str
    #: names from the top of the definition, with `else`, `case:<name>`, `default` between them
    path: str
    raw: Mapping[str, object]

    @property
    def type(self) -> str:
        """The action's `type`, empty where the definition has none."""
        return text_at(self.raw, "type") or ""


def walk_actions(definition: Mapping[str, object]) -> Iterator[ActionNode]:
    """Yield every action in the order of the definition, a container before what it contains."""
    stack: list[tuple[str, str, object]] = _entries("", definition.get("actions"))
    while stack:
        name, path, raw = stack.pop()
        if not isinstance(raw, dict):
            continue
        yield ActionNode(name=name, path=path, raw=raw)
        if not _CONTAINING.isdisjoint(raw):
            for prefix, actions in reversed(list(_branches(path, raw))):
                stack.extend(_entries(prefix, actions))


#: Members that hold more actions; most actions have none of them.
_CONTAINING = frozenset({"actions", "else", "cases", "default", "tools"})


def _branches(path: str, raw: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Name the places where an action holds more actions.

    `tools` is where an agent of Logic Apps keeps the actions that it may choose.

    See platform.md#nested-actions: If, Switch, Scope, Foreach, Until.
    """
    yield path, raw.get("actions")
    yield f"{path}/else", mapping_at(raw, "else").get("actions")
    for name, case in mapping_at(raw, "cases").items():
        yield f"{path}/case:{name}", as_mapping(case).get("actions")
    yield f"{path}/default", mapping_at(raw, "default").get("actions")
    for name, tool in mapping_at(raw, "tools").items():
        yield f"{path}/tool:{name}", as_mapping(tool).get("actions")


def _entries(prefix: str, actions: object) -> list[tuple[str, str, object]]:
    """Return the entries of one `actions` object, last first: they go on a stack."""
    entries = [
        (name, f"{prefix}/{name}" if prefix else name, raw)
        for name, raw in as_mapping(actions).items()
    ]
    return entries[::-1]
