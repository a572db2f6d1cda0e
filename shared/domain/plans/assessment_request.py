"""Define the options and the progress of a requested assessment."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from shared.domain.plans.discovery import DiscoverySource


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentRequest:
    """The options of a requested assessment, besides its environment."""

    #: Name or Azure resource id of the policy to apply; empty: the environment's current policy.
    policy: str = ""
    #: Vault and name of a key that no policy names yet; both empty, or neither.
    vault: str = ""
    key: str = ""
    #: A caller search that started since then is reused; None: callers are searched again.
    callers_since: datetime | None = None

    @property
    def digest(self) -> str:
        """Return a hash of the options, for use in row keys."""
        since = self.callers_since.isoformat() if self.callers_since else ""
        parts = (self.policy.lower(), self.vault.lower(), self.key.lower(), since)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentProgress:
    """How far an assessment has read the flows of its environment."""

    began: datetime
    #: When the last page was read.
    read: datetime
    #: Pages of all lists so far. A reading of one flow counts as a page.
    pages: int
    #: Flows that were read with their definitions.
    flows: int
    #: What was read last.
    source: DiscoverySource
