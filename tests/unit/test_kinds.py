import ast
import pkgutil
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import shared
from shared.callers import build_caller_kinds
from shared.firewalls import build_firewall_kinds
from shared.kind_discovery import find_kinds
from shared.ports import PlatformPorts
from shared.settings import Settings
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_fake_settings
from tests.fakes.world import World

PACKAGES = ("shared.callers", "shared.firewalls")
KINDS = [(package, kind) for package in PACKAGES for kind in find_kinds(package)]


def test_every_kind_of_a_package_is_built_by_its_name() -> None:
    ports = build_fakes(World()).ports

    callers, firewalls = (
        build_caller_kinds(ports, build_fake_settings()),
        build_firewall_kinds(ports.resources),
    )

    assert [one.kind for one in callers.values()] == [*callers] != []
    assert [one.kind for one in firewalls.values()] == [*firewalls] != []
    assert [*callers, *firewalls] == [kind.kind for _, kind in KINDS]


@pytest.mark.parametrize(("package", "kind"), KINDS)
def test_kind_is_defined_in_the_file_of_its_name(package: str, kind: type[Any]) -> None:
    """The name of a kind in a row or report is the name of its module."""
    assert kind.__module__ == f"{package}.{kind.kind}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_a_kind_or_shared_by_kinds(package: str) -> None:
    files = {one.name for one in pkgutil.iter_modules(import_module(package).__path__)}

    assert files - {kind.kind for kind in find_kinds(package)} <= {
        "api_management_places",
        "api_management_policies",
        "azure_devops_documents",
        "azure_resources",
        "dataverse_rows",
        "json_service",
        "named_values",
        "namespace_rules",
        "published_parts",
        "search",
        "secret_rights",
        "whole_resource",
    }
    assert Counter(kind.kind for kind in find_kinds(package)).most_common(1)[0][1] == 1


@pytest.mark.parametrize(("package", "kind"), KINDS)
def test_constructor_parameters_of_a_kind_match_the_ports(package: str, kind: type[Any]) -> None:
    offered = {**get_type_hints(PlatformPorts), "settings": Settings}
    needs = get_type_hints(kind.__init__)
    del needs["return"]

    wrong = {name: needed for name, needed in needs.items() if needed is not offered.get(name)}

    assert wrong == {}, f"{package}: the ports are {sorted(offered)}"


def test_no_step_and_no_use_case_spells_the_name_of_a_kind() -> None:
    """A new kind needs no change of steps and use cases, which ask each kind for its properties."""
    names = {kind.kind for _, kind in KINDS}
    root = Path(shared.__path__[0])
    spelled = [
        f"{path.relative_to(root)}: {node.value!r}"
        for folder in ("steps", "use_cases")
        for path in sorted(root.joinpath(folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    ]

    assert spelled == []
