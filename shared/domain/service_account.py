"""Define what the app knows about the service account in an environment's Dataverse."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountRecord:
    """The row of what was read of the service account when a flow was first shared with it."""

    environment_id: str
    #: Its Entra object id: another account has another row.
    object_id: str
    #: Its `systemuserid`; empty: it is not a user of this environment.
    user_id: str
    #: Whether a share with it lets it read trigger URLs (platform.md#share-effect).
    can_read_trigger_urls: bool
    checked_at: datetime
