"""Define the alert about a key: a finding that people are notified of until it is fixed."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAlert:
    """The row of a finding about the key of one policy. People are notified of the finding."""

    #: Azure resource id, lower case.
    policy_id: str
    policy_name: str
    finding: Finding
    #: When it was first found.
    first_seen_at: datetime
    #: The reason code of the notification; empty: not sent yet.
    reason_code: str
