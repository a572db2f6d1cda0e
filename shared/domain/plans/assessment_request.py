"""An assessment that is made in the background: what it is about, and how far it has read."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from shared.domain.plans.discovery import DiscoverySource


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentRequest:
    """What an assessment is about, beside its environment."""

    #: Name or Azure resource id of the policy to be applied; empty: the environment's own.
    policy: str = ""
    #: Vault and name of a key that no policy names yet; both are empty, or neither.
    vault: str = ""
    key: str = ""
    #: A search for callers from then on is used again; None: they are searched anew.
    callers_since: datetime | None = None

    @property
    def digest(self) -> str:
        """Return the same text for the same request, which may stand in the key of a row."""
        since = self.callers_since.isoformat() if self.callers_since else ""
        parts = (self.policy.lower(), self.vault.lower(), self.key.lower(), since)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentProgress:
    """How far an assessment has read the flows of its environment."""

    began: datetime
    #: When the last page was read.
    read: datetime
    #: Pages so far, of all lists, and flows that were read with their definitions.
    pages: int
    flows: int
    #: The list that the last page is of.
    source: DiscoverySource
