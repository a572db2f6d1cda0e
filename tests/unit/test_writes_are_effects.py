import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import shared.ports as ports

#: The write methods of each port, by the field of `Services` (or the usual name) that holds it.
WRITES: Mapping[str, frozenset[str]] = {
    "flow_access": frozenset({"grant", "revoke", "start"}),
    "flow_placement": frozenset({"add_to_solution"}),
    "flow_switch": frozenset({"start", "stop", "delete", "restore"}),
    "workflows": frozenset({"create", "update", "delete"}),
    "connection_references": frozenset({"create"}),
    "flow_sharing": frozenset({"grant", "modify", "revoke"}),
    "solutions": frozenset({"add_flow"}),
    "organization": frozenset({"write_solution_setting"}),
    "environment_variables": frozenset({"write_value", "write_default"}),
    "text_rows": frozenset({"write"}),
    "resource_writer": frozenset({"put", "patch", "delete", "restart"}),
    "app_settings": frozenset({"write"}),
    "secrets": frozenset({"write"}),
    "kind": frozenset({"write", "write_all", "update_list"}),  # of callers and firewalls
}
#: How the name of a port's method begins if the method changes something.
VERBS = re.compile(
    r"(add|remove|create|update|delete|start|stop|restore|write|grant|modify|revoke|put|patch|change|restart)"
    r"(_|$)"
)
#: Calls whose argument `call` may write: `Write`, and what passes it on to one.
EFFECTS = {"Write", "build_write_for_owner", "FlowToSave"}


def test_no_write_is_made_outside_an_effect() -> None:
    """If this fails, put the named write into the `call` of a `Write` (ADR 22)."""
    paths = [path for room in ("steps", "use_cases") for path in Path("shared", room).rglob("*.py")]
    found = {
        stray for path in paths for stray in find_other_writes(path.read_text("utf-8"), str(path))
    }

    assert found == set()


def test_every_write_method_of_a_port_is_listed() -> None:
    """A new write method must be added to `WRITES`."""
    known = frozenset[str]().union(*WRITES.values())
    own = {"Store", "Archive"}  # ports of the app's own data
    methods = {
        name
        for port in vars(ports).values()
        if inspect.isclass(port) and getattr(port, "_is_protocol", False)
        if port.__name__ not in own
        for name, _ in inspect.getmembers(port, inspect.isfunction)
        if VERBS.match(name)
    }

    assert methods == known


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("await work.services.workflows.update(1)", ["f:workflows.update"]),
        ("flows = work.services.workflows\n await flows.update(1)", ["f:workflows.update"]),
        ("send = work.services.workflows.update\n await send(1)", ["f:workflows.update"]),
        ("send = partial(self._access.start, 1)\n await send()", ["f:flow_access.start"]),
        ("await work.services.workflows.get(1)", []),
        ("Write(permit=p, call=lambda: work.services.workflows.update(1))", []),
        ("send = work.services.workflows.update\n Write(permit=p, call=lambda: send(1))", []),
        ("async def go():\n  await workflows.update(1)\n Write(permit=p, call=go)", []),
        ("Write(permit=work.services.workflows.update, call=go)", ["f:workflows.update"]),
    ],
)
def test_write_outside_an_effect_is_found(source: str, found: list[str]) -> None:
    """A method that is assigned to a name counts where the name is used."""
    assert list(find_other_writes(f"async def f():\n {source}", "")) == [f":{one}" for one in found]


def find_other_writes(source: str, path: str) -> Iterator[str]:
    """Yield each write of a port outside the `call` of an effect, as `path:function:method`."""
    module = _Module(ast.parse(source))
    for node in ast.walk(module.tree):
        method = module.write_named(node)
        if method and not all(map(module.is_in_call, module.find_uses(node))):
            yield f"{path}:{'.'.join(module.list_functions_around(node))}:{method}"


class _Module:
    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self._above = {
            child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }
        self._ports = dict(self._find_port_names())
        self._calls = {
            keyword.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and _get_name(node.func) in EFFECTS
            for keyword in node.keywords
            if keyword.arg == "call"
        }
        self._called = self._find_functions_called_from_effects()

    def write_named(self, node: ast.AST) -> str:
        """Return `port.method` if the node names a write method of a port, else an empty text."""
        if not isinstance(node, ast.Attribute):
            return ""
        owner = _get_name(node.value).lstrip("_")
        port = self._ports.get(owner, {"access": "flow_access"}.get(owner, owner))
        return f"{port}.{node.attr}" if node.attr in WRITES.get(port, ()) else ""

    def find_uses(self, node: ast.AST) -> list[ast.AST]:
        """Return where the method is used: the node itself, or the uses of a name that the method
        is assigned to.
        """
        statement = next(one for one in self._walk_upwards(node) if isinstance(one, ast.stmt))
        if not isinstance(statement, ast.Assign) or self.is_in_call(node):
            return [node]
        names = {_get_name(one) for one in ast.walk(statement) if _is_stored(one)}
        scope = next(one for one in self._walk_upwards(statement) if isinstance(one, _FUNCTIONS))
        used = [one for one in ast.walk(scope) if isinstance(one, ast.Name) and one.id in names]
        return [one for one in used if isinstance(one.ctx, ast.Load)] or [node]

    def is_in_call(self, node: ast.AST) -> bool:
        return any(
            one in self._calls or (isinstance(one, _FUNCTIONS) and one.name in self._called)
            for one in (node, *self._walk_upwards(node))
        )

    def list_functions_around(self, node: ast.AST) -> list[str]:
        """Return the names of the functions that contain a node, the outermost first."""
        return [one.name for one in self._walk_upwards(node) if isinstance(one, _FUNCTIONS)][::-1]

    def _find_functions_called_from_effects(self) -> set[str]:
        functions = {one.name: one for one in ast.walk(self.tree) if isinstance(one, _FUNCTIONS)}
        found: set[str] = set()
        waiting: list[ast.AST] = list(self._calls)
        while waiting:
            names = {_get_name(one) for one in ast.walk(waiting.pop())}
            new = names & functions.keys() - found
            found |= new
            waiting += [functions[name] for name in new]
        return found

    def _find_port_names(self) -> Iterator[tuple[str, str]]:
        """Yield the local name and the port of each port in use."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign):
                (target, *_), value = node.targets, node.value
                targets = target.elts if isinstance(target, ast.Tuple) else [target]
                values = value.elts if isinstance(value, ast.Tuple) else [value]
                for name, given in zip(targets, values, strict=False):
                    if isinstance(name, ast.Name) and _get_name(given).lstrip("_") in WRITES:
                        yield name.id, _get_name(given).lstrip("_")

    def _walk_upwards(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self._above:
            node = self._above[node]
            yield node


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _get_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
