import ast
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from shared.ports import PlatformPorts

_PORTS = get_type_hints(PlatformPorts)


def _find_used_names() -> set[str]:
    return {
        node.attr
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("name", [one.name for one in fields(PlatformPorts)])
def test_every_method_of_a_port_is_called_by_a_suite(name: str) -> None:
    """Each suite runs with the fakes and with the adapters, so it compares the two."""
    methods = {one for one in vars(_PORTS[name]) if not one.startswith("_")}

    assert {name, *methods} - _find_used_names() == set()
