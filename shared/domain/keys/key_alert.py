"""A finding about a key that people are told of, for as long as it stands."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAlert:
    """What is wrong, or may be, with the key of one policy."""

    #: Azure resource id, lower case.
    policy_id: str
    policy_name: str
    finding: Finding
    #: When it was seen first.
    since: datetime
    #: What people are told it as; empty: not yet.
    code: str
