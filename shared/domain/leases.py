"""Define the lease of a shared resource, such as all settings of one app."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLease:
    """The right of one job to write a resource, for a limited time."""

    id: str
    holder: str
    leased_until: datetime
