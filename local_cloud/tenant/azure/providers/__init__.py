"""Resource providers of Azure, one module for each, which defines `PROVIDER`.

The docstring of a module describes what is served.
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from local_cloud.tenant.azure.resource_provider import ResourceProvider


def list_resource_providers() -> Iterator[ResourceProvider]:
    """Yield the provider of each module, in the order of their names."""
    for file in pkgutil.iter_modules(__path__):
        provider: ResourceProvider = import_module(f"{__name__}.{file.name}").PROVIDER
        yield provider
