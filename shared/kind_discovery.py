"""Find the caller or firewall kinds in a package: its classes with an own attribute `kind`."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any


@cache
def find_kinds(package: str) -> tuple[type[Any], ...]:
    """Return the class of each kind, in the order of the modules."""
    return tuple(_scan_kinds(package))


def _scan_kinds(package: str) -> Iterator[type[Any]]:
    for file in pkgutil.iter_modules(import_module(package).__path__):
        module = import_module(f"{package}.{file.name}")
        for one in vars(module).values():
            is_its_own = isinstance(one, type) and one.__module__ == module.__name__
            if is_its_own and isinstance(vars(one).get("kind"), str):
                yield one
