"""Reads the Bicep files of infra/ as tree-sitter sees them: syntax, no types, no API versions."""

from collections.abc import Iterator
from pathlib import Path

from tree_sitter import Language, Node, Parser
from tree_sitter_bicep import language

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
PARSER = Parser(Language(language()))


def nodes(node: Node, kind: str) -> Iterator[Node]:
    """Yield every node of a kind below one."""
    if node.type == kind:
        yield node
    for child in node.children:
        yield from nodes(child, kind)


def tree(path: str) -> Node:
    """Return the syntax tree of a file of infra/."""
    return PARSER.parse((INFRA / path).read_bytes()).root_node


def text(node: Node) -> str:
    """Return the source of a node, without quotes."""
    assert node.text is not None
    return node.text.decode().strip("'")


def members(node: Node) -> dict[str, str]:
    """Return the source of each member of an object."""
    pairs = [child for child in node.children if child.type == "object_property"]
    return {text(pair.children[0]): text(pair.children[-1]) for pair in pairs}


def resources(resource_type: str, path: str) -> list[Node]:
    """Return the declarations of a type in a file, in their order."""
    return [
        resource
        for resource in nodes(tree(path), "resource_declaration")
        if text(next(nodes(resource, "string"))).partition("@")[0] == resource_type
    ]


def member(node: Node, name: str) -> Node:
    """Return the value of the first member with a name, at any depth; raises StopIteration."""
    return next(
        pair.children[-1]
        for pair in nodes(node, "object_property")
        if text(pair.children[0]) == name
    )


def properties_of(resource_type: str, path: str) -> dict[str, str]:
    """Return the source of each member of `properties` of the first resource with this type."""
    return members(member(resources(resource_type, path)[0], "properties"))


def variable(path: str, name: str) -> Node:
    """Return the value of a variable of a file."""
    (found,) = (
        declared.children[-1]
        for declared in nodes(tree(path), "variable_declaration")
        if text(declared.children[1]) == name
    )
    return found


def strings(node: Node) -> list[str]:
    """Return every string below a node, in its order."""
    return [text(one) for one in nodes(node, "string")]


def parameters(path: str) -> dict[str, bool]:
    """Return the parameters of a file, and whether each has a default."""
    return {
        text(declared.children[1]): any(child.type == "=" for child in declared.children)
        for declared in nodes(tree(path), "parameter_declaration")
    }
