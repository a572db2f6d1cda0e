"""Define a lease: the right to work on a row or a resource for a limited time (ADR 12)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease[H: (str, int)]:
    """A lease with its holder and its end, as read from a row."""

    #: The name of its holder, or the fencing token of the invocation.
    holder: H
    #: None: nobody has it.
    until: datetime | None

    def is_held(self, now: datetime) -> bool:
        """Return whether anybody holds the lease at this time."""
        return self.until is not None and self.until > now

    def is_free_for(self, holder: H, now: datetime) -> bool:
        """Return whether this holder may take or renew the lease, because no other holds it."""
        return self.holder == holder or not self.is_held(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLease:
    """The lease row of a resource, such as an app's settings, that only one holder may write."""

    id: str
    holder: str
    leased_until: datetime

    @property
    def lease(self) -> Lease[str]:
        return Lease(holder=self.holder, until=self.leased_until)
