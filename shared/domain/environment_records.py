"""Define rows that the app stores about an environment."""

from dataclasses import dataclass
from datetime import datetime, timedelta


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountRecord:
    """What the app read about the service account when a flow was first shared with it."""

    environment_id: str
    #: Its Entra object id: another account has another row.
    object_id: str
    #: Its `systemuserid`; empty: it is not a user of this environment.
    user_id: str
    #: Whether a share with it lets it read trigger URLs (platform.md#share-effect).
    can_read_trigger_urls: bool
    checked_at: datetime


#: The platform's behaviour changes (platform.md#shape-demand), so after this time the app tries to
#: save a definition unchanged.
DEMAND_LASTS = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeDemand:
    """A record which says that an environment rejected a save in an older connector format.

    See platform.md#connector-shapes.
    """

    environment_id: str
    seen: datetime

    def lasts(self, now: datetime) -> bool:
        """Return whether the app still converts definitions before it saves them in the
        environment.
        """
        return now < self.seen + DEMAND_LASTS
