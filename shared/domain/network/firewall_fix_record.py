"""Record what the app adds to a firewall before it adds it, so that the change can be reverted."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.network.firewall_fix import AddedEntries
from shared.reason import Reason


class FirewallFixState(StrEnum):
    """The state of a change of a firewall by the app."""

    APPLYING = "applying"  #: recorded; may be written already
    APPLIED = "applied"  #: read back
    REVERTING = "reverting"  #: being reverted
    REVERTED = "reverted"  #: reverted and read back

    @property
    def is_under_way(self) -> bool:
        return self in {FirewallFixState.APPLYING, FirewallFixState.REVERTING}


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFixRecord:
    """The row of the entries that the app has added to one list of a firewall."""

    #: The name by which the issue can be ignored.
    issue: str
    kind: str
    #: The firewall's name.
    firewall: str
    #: All entries that the app wrote, or may have written.
    added_entries: AddedEntries
    state: FirewallFixState
    #: The environments whose flows it was made for.
    environment_ids: tuple[str, ...]
    changed_by: str
    changed_at: datetime
    #: When Azure accepted the change; None: it was read back since.
    unseen_since: datetime | None = None

    @property
    def id(self) -> str:
        """Return an id that is the same for each fix of the same issue and list."""
        parts = (self.issue, self.added_entries.resource_id.lower(), self.added_entries.list_name)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]

    @property
    def reason_code(self) -> str:
        """Return the reason code that reports an interrupted change, or "" if it is complete."""
        return Reason.FIREWALL_FIX_UNFINISHED if self.state.is_under_way else ""
