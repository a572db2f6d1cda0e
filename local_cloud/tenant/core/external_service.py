"""Describe a service outside Azure and Power Platform.

It is one module with a section of the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalService:
    """A service, and the function that reads its section of the seed."""

    service: Service
    #: The member of the seed.
    section: str
    #: Adds what the section describes.
    seed: Callable[[Tenant, Any], None]
