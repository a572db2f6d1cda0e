"""The operator as a row of an environment's Dataverse, and what a share with it is good for."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountRecord:
    """What was seen of it when a flow was first lent by a share."""

    environment_id: str
    #: Its Entra object id: another account is another row.
    object_id: str
    #: Its `systemuserid`; empty: it is no user of this environment.
    user_id: str
    #: Whether a share with it lets it ask for trigger URLs (platform.md#share-effect).
    can_read_trigger_urls: bool
    checked_at: datetime
