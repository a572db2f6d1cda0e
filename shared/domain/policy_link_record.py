"""How an environment was linked to a policy when it was last polled."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLinkRecord:
    """How an environment was linked when it was last polled."""

    environment_id: str
    policy_id: str
    status: str
    #: When it was first seen under this policy.
    first_seen_at: datetime
    #: When it was first seen with this status, and what it was before.
    status_changed_at: datetime | None = None
    previous_policy_id: str = ""
    previous_status: str = ""
    #: Whether the event of this change was sent.
    is_event_sent: bool = True
