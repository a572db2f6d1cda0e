"""Define the audit log: who requested what, from where, and with which result."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.principal import PrincipalKind

#: Later than any time. Counting down from it sorts the newest entry first.
_END = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A request over HTTP that changed something or was rejected.

    An accepted request has two rows: one before the action, one with the result. Neither is ever
    replaced. If the second row is missing, the request was interrupted, and only the affected
    objects show whether it took effect. A request without the required role has one row.
    """

    id: str
    recorded_at: datetime
    who: str
    #: Object id in Entra; empty: a function key was used, and its holder can write any name into
    #: `who`.
    who_id: str
    kind: PrincipalKind
    #: Address and program of the client, as far as the request shows them.
    client: str
    #: The name of the route, such as `approve_remediation`.
    operation: str
    #: The path of the request, such as `/api/remediations/…/approve`.
    target: str
    #: The content of the request, as JSON without secrets.
    request_body: str
    #: The affected object as JSON, before and after the action; empty where there is no such
    #: record.
    state_before: str = ""
    state_after: str = ""
    #: HTTP status of the response; None: the row written before the action.
    status: int | None = None
    #: Why the request was rejected.
    message: str = ""
    #: The principal lacks the role for this route: the first such request of an hour.
    is_rejection: bool = False

    @property
    def sort_key(self) -> str:
        """Return the row key, which sorts the newest entry first and a result before its request.

        A request without the required role is dated to the start of its hour, so that later ones in
        that hour have the same key.
        """
        at = (
            self.recorded_at.replace(minute=0, second=0, microsecond=0)
            if self.is_rejection
            else self.recorded_at
        )
        return f"{_count_microseconds_to_end(at):020}-{self.id}-{int(self.status is None)}"


def build_boundary_key(end: datetime) -> str:
    """Return a row key that separates the entries before `end` from those at `end` or later.

    Newer entries sort first: keys of older entries sort after it, all others before it. A rejected
    request counts as made at the start of its hour, as in its key.
    """
    return f"{_count_microseconds_to_end(end) + 1:020}"


def parse_key_time(key: str) -> datetime | None:
    """Return the time that an entry's key contains. Returns None if the text is not such a key."""
    digits = key.partition("-")[0]
    try:
        return _END - timedelta(microseconds=int(digits))
    except (ValueError, OverflowError):
        return None


def _count_microseconds_to_end(at: datetime) -> int:
    return int((_END - at).total_seconds() * 1_000_000)
