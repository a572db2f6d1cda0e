import inspect
from dataclasses import fields
from typing import get_type_hints

import pytest

from tests.fakes.ports import Ports, build_fakes
from tests.fakes.world import World

PORTS = get_type_hints(Ports)


def list_methods(protocol: type) -> list[str]:
    return [name for name in vars(protocol) if not name.startswith("_")]


@pytest.mark.parametrize("name", [one.name for one in fields(Ports)])
def test_signatures_of_a_fake_equal_those_of_its_port(name: str) -> None:
    protocol = PORTS[name]
    fake = type(getattr(build_fakes(World()).ports, name))

    for method in list_methods(protocol):
        asked = inspect.signature(getattr(protocol, method)).parameters.values()
        given = inspect.signature(getattr(fake, method)).parameters.values()
        assert [(one.name, one.kind, one.default) for one in given] == [
            (one.name, one.kind, one.default) for one in asked
        ], f"{fake.__name__}.{method}"
