"""Define the row of an environment's policy link."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLinkRecord:
    """The row of the policy link that an environment had when the app last polled it."""

    environment_id: str
    #: Name of the environment as last polled; empty: unknown.
    environment_name: str = ""
    policy_id: str
    status: str
    #: When this policy was first read.
    first_seen_at: datetime
    #: When this status was first read, and the values before.
    status_changed_at: datetime | None = None
    previous_policy_id: str = ""
    previous_status: str = ""
    #: When the environment was last seen disabled, as without its key: its flows got no calls.
    last_disabled_at: datetime | None = None
    #: Whether the event of this change was sent.
    is_event_sent: bool = True
