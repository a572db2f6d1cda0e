"""Define a lease: the right to work on a row or a resource for a limited time (ADR 12)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease[H: (str, int)]:
    """A lease, as the row of what is leased stores it in its own fields."""

    #: The name of its holder, or the fencing token of the invocation.
    holder: H
    #: None: nobody has it.
    until: datetime | None

    def is_held(self, now: datetime) -> bool:
        """Return whether somebody has it at this time."""
        return self.until is not None and self.until > now

    def is_free_for(self, holder: H, now: datetime) -> bool:
        """Return whether this holder may take or renew it: no other has it."""
        return self.holder == holder or not self.is_held(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLease:
    """The row of a resource that one holder at a time writes, such as the settings of an app."""

    id: str
    holder: str
    leased_until: datetime

    @property
    def lease(self) -> Lease[str]:
        """Return the lease."""
        return Lease(holder=self.holder, until=self.leased_until)
