"""No port onto the platform is without its suite, and no method of one."""

import ast
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from shared.ports import PlatformPorts

_PORTS = get_type_hints(PlatformPorts)


def _used() -> set[str]:
    """Return the names of attributes that the suites of this folder read."""
    return {
        node.attr
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("name", [one.name for one in fields(PlatformPorts)])
def test_a_port_has_a_suite_that_calls_each_of_its_methods(name: str) -> None:
    """Fakes and adapters are held to the same behaviour."""
    methods = {one for one in vars(_PORTS[name]) if not one.startswith("_")}

    assert {name, *methods} - _used() == set()
