"""Read the resources that a Bicep text declares."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tree_sitter import Language, Node, Parser
from tree_sitter_bicep import language

#: Reads syntax. Microsoft's compiler checks types and versions (test_firewall_fixes_compiled.py).
PARSER = Parser(Language(language()))


def find_nodes(node: Node, kind: str) -> Iterator[Node]:
    if node.type == kind:
        yield node
    for child in node.children:
        yield from find_nodes(child, kind)


def read_source(node: Node) -> str:
    assert node.text is not None
    return node.text.decode().strip("'")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredResource:
    #: `Microsoft.Network/ipGroups`.
    type: str
    version: str
    #: From the outermost resource to itself.
    names: tuple[str, ...]
    properties: Any


def parse_resources(source: str) -> list[DeclaredResource]:
    """Return the resources that a Bicep text deploys, without `existing` ones.

    Fails on a syntax error.
    """
    root = PARSER.parse(source.encode()).root_node
    assert not root.has_error, source
    names: dict[str, tuple[str, ...]] = {}
    found = []
    for node in find_nodes(root, "resource_declaration"):
        children = [child for child in node.children if child.is_named]
        label, kind = read_source(children[0]), read_source(children[1])
        value = evaluate(children[-1])
        parent = names.get(str(value.get("parent", "")), ())
        names[label] = (*parent, value["name"])
        if not any(child.type == "existing" for child in node.children):
            resource_type, _, version = kind.partition("@")
            found.append(
                DeclaredResource(
                    type=resource_type,
                    version=version,
                    names=names[label],
                    properties=value["properties"],
                )
            )
    return found


def evaluate(node: Node) -> Any:
    """Return the value of a Bicep literal. A name becomes its own text."""
    match node.type:
        case "object":
            pairs = [child for child in node.children if child.type == "object_property"]
            return {read_source(pair.children[0]): evaluate(pair.children[-1]) for pair in pairs}
        case "array":
            return [evaluate(child) for child in node.children if child.is_named]
        case "number":
            return int(read_source(node))
        case "boolean":
            return read_source(node) == "true"
        case "null":
            return None
    return read_source(node).replace("\\'", "'").replace("\\$", "$").replace("\\\\", "\\")
