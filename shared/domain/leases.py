"""The lease of a shared resource, such as all settings of one app."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLease:
    """Who may write one caller's resource, and until when."""

    id: str
    holder: str
    leased_until: datetime
