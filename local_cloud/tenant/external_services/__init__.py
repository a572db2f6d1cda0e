"""Services outside Azure and Power Platform, one module for each, which defines `EXTERNAL`.

The docstring of a module describes its routes and its section of the seed.
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from local_cloud.tenant.core.external_service import ExternalService


def list_external_services() -> Iterator[ExternalService]:
    """Yield the service of each module, in the order of their names."""
    for file in pkgutil.iter_modules(__path__):
        external: ExternalService = import_module(f"{__name__}.{file.name}").EXTERNAL
        yield external
