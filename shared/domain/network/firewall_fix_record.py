"""What the app put into a firewall, noted before it was: so that it can be taken out again."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.network.firewall_fix import AddedEntries
from shared.reason import Reason


class FirewallFixState(StrEnum):
    """How far a change of a firewall is."""

    APPLYING = "applying"  #: noted; made, or about to be
    APPLIED = "applied"  #: read back
    REVERTING = "reverting"  #: to be taken back
    REVERTED = "reverted"  #: read back without it

    @property
    def is_under_way(self) -> bool:
        """Say whether somebody has to look whether it came to its end."""
        return self in {FirewallFixState.APPLYING, FirewallFixState.REVERTING}


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallFixRecord:
    """The app's own entries in one list of one resource."""

    #: What the gap is waived by.
    gap: str
    kind: str
    #: The firewall's name.
    firewall: str
    #: All entries of the app that stand there, or may.
    opening: AddedEntries
    state: FirewallFixState
    #: Environments whose flows it was made for.
    environment_ids: tuple[str, ...]
    by: str
    at: datetime
    #: When Azure first accepted the change without showing it since.
    unseen_since: datetime | None = None

    @property
    def id(self) -> str:
        """Return its key: one for each gap and each list that closes it."""
        parts = (self.gap, self.opening.resource_id.lower(), self.opening.part)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]

    @property
    def code(self) -> str:
        """Return why people are told of it, if it stands still; empty: it came to its end."""
        return Reason.FIREWALL_FIX_UNFINISHED if self.state.is_under_way else ""
