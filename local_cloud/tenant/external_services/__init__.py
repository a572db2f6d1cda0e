"""Collect the services outside Azure and Power Platform.

There is one module for each, which defines `EXTERNAL`. Its docstring describes its routes and its
section of the seed.
"""

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalService:
    service: Service
    #: The member of the seed.
    section: str
    #: Adds what the section describes.
    seed: Callable[[Tenant, Any], None]


def list_external_services() -> Iterator[ExternalService]:
    """Yield the service of each module, in the order of their names."""
    for file in pkgutil.iter_modules(__path__):
        external: ExternalService = import_module(f"{__name__}.{file.name}").EXTERNAL
        yield external
