"""Define the entries of the audit log and their filter.

An entry says who requested what, from where, and with which result.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.audit_text import AuditResult, describe_principal, find_audit_result
from shared.domain.principal import PrincipalKind

#: Later than any time. Counting down from it sorts the newest entry first.
_END = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An HTTP request to change something, or one without the required role.

    A request to change something has two rows: one before the action, one with the result. If the
    second row is missing, only the affected objects show whether the request took effect. A request
    without the required role has one row.
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

        The key of a rejection (`is_rejection`) contains only its hour, so that equal ones in that
        hour share a row.
        """
        at = (
            self.recorded_at.replace(minute=0, second=0, microsecond=0)
            if self.is_rejection
            else self.recorded_at
        )
        return f"{_count_microseconds_to_last_time(at):020}-{self.id}-{int(self.status is None)}"


def build_boundary_key(end: datetime) -> str:
    """Return a row key that sorts after entries at `end` or later, and before older ones.

    A rejection (`is_rejection`) counts as made at the start of its hour.
    """
    return f"{_count_microseconds_to_last_time(end) + 1:020}"


def parse_key_time(key: str) -> datetime | None:
    """Return the time that an entry's key contains. Returns None if the text is not such a key."""
    digits = key.partition("-")[0]
    try:
        return _END - timedelta(microseconds=int(digits))
    except (ValueError, OverflowError):
        return None


def _count_microseconds_to_last_time(at: datetime) -> int:
    return int((_END - at).total_seconds() * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Conditions that entries of the audit log must meet. Every entry meets an empty condition."""

    #: Part of the name, or the object id.
    who: str = ""
    operation: str = ""
    result: AuditResult | None = None
    environment_id: str = ""
    remediation_id: str = ""
    #: UTC; entries at `until` and later are left out.
    since: datetime | None = None
    until: datetime | None = None

    def accepts(self, entry: AuditEntry, environment_ids: frozenset[str]) -> bool:
        """Return whether an entry meets all conditions other than the period.

        An entry is about an environment if it names one of `environment_ids`: the environment's id
        and the ids of its remediations.
        """
        who, name = self.who.casefold(), describe_principal(entry.kind, entry.who).casefold()
        if who not in name and who != entry.who_id.casefold():
            return False
        if self.operation and entry.operation != self.operation:
            return False
        if self.result and find_audit_result(entry.status) is not self.result:
            return False
        if not (self.remediation_id or self.environment_id):
            return True
        states = f"{entry.state_before} {entry.state_after}"
        text = f"{entry.target} {entry.request_body} {states}".lower()
        if self.remediation_id.lower() not in text:
            return False
        return not self.environment_id or any(one.lower() in text for one in environment_ids)
