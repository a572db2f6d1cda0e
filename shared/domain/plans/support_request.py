"""Define the requests to Microsoft's support that only a person can file, and draft their texts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from shared.domain.environment_records import PolicyLinkRecord
from shared.domain.jobs.run_archive import TICKET_WINDOW
from shared.domain.name_lookup import NamedItem

#: The platform names no time for the end of a migration; its list of flows only becomes shorter.
COUNTED_FROM = (
    "The days count from when the app saw the platform migration complete; it may have ended "
    "earlier."
)


class SupportRequestKind(StrEnum):
    """What a support request asks Microsoft to do."""

    RUN_HISTORY = "run_history"  #: restore run history from before the key
    ENVIRONMENT_LIMIT = "environment_limit"  #: permit more environments on customer-managed keys


def build_support_request_id(kind: str, environment_id: str) -> str:
    """Return the id of the support request of this kind for an environment."""
    return "-".join(filter(None, (kind.replace("_", "-"), environment_id)))


class SupportRequestState(StrEnum):
    """The state of a support request."""

    OPEN = "open"  #: nobody has filed it
    FILED = "filed"  #: a person filed it
    EXPIRED = "expired"  #: nobody filed it before its support window closed


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRequest:
    """A support request of an environment, or of the tenant, and whether it was filed."""

    kind: SupportRequestKind
    #: Empty: it is about the tenant; so are the next five.
    environment_id: str = ""
    environment_name: str = ""
    geography: str = ""
    region: str = ""
    #: Azure resource id of the enterprise policy.
    policy_id: str = ""
    #: When the app first read the policy link; None: unknown.
    key_applied_at: datetime | None = None
    #: When the app first saw the platform migration complete; None: it is about the tenant.
    migrated_at: datetime | None = None
    #: Since when it is required.
    opened_at: datetime
    filed_at: datetime | None = None
    filed_by: str = ""
    ticket_number: str = ""

    @property
    def id(self) -> str:
        """Return the request's id, which is valid in the path of a route."""
        return build_support_request_id(self.kind, self.environment_id)

    @property
    def closes_at(self) -> datetime | None:
        """Return when the support window closes, or None if the request has none."""
        return self.migrated_at + TICKET_WINDOW if self.migrated_at else None

    def find_state(self, now: datetime) -> SupportRequestState:
        """Return whether the request is open, filed or expired at this time."""
        if self.filed_at:
            return SupportRequestState.FILED
        is_over = self.closes_at is not None and self.closes_at <= now
        return SupportRequestState.EXPIRED if is_over else SupportRequestState.OPEN

    def count_days_left(self, now: datetime) -> int | None:
        """Return the number of days until the support window closes, rounded up.

        Returns None if the request has no support window or is not open.
        """
        if self.closes_at is None or self.find_state(now) is not SupportRequestState.OPEN:
            return None
        return ceil((self.closes_at - now) / timedelta(days=1))

    def with_filing(self, *, by: str, ticket_number: str, at: datetime) -> "SupportRequest":
        """Return the request with a record that a person has filed it."""
        return replace(self, filed_at=at, filed_by=by, ticket_number=ticket_number)

    def with_reopening(self) -> "SupportRequest":
        """Return the request without the record that it was filed."""
        return replace(self, filed_at=None, filed_by="", ticket_number="")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRequestDraft:
    """The text of a support request, which a person can file."""

    subject: str
    #: The lines of the text.
    lines: tuple[str, ...]


def build_run_history_draft(
    request: SupportRequest, flows: Sequence[NamedItem], unread_reason: str
) -> SupportRequestDraft:
    """Return the text that asks Microsoft to restore run history.

    `flows` are those that existed before their copies. If they could not be read, `unread_reason`
    says why.
    """
    listed = [f"{one.id}  {one.name}" for one in flows]
    if unread_reason:
        listed = [f"The flows could not be read: {unread_reason}"]
    return SupportRequestDraft(
        subject=(
            "Power Automate: restore run history from before the customer-managed key, "
            f"environment {request.environment_id}"
        ),
        lines=(
            f"Environment: {request.environment_name}",
            f"Environment id: {request.environment_id}",
            f"Geography and region: {request.geography}, {request.region}",
            f"Enterprise policy: {request.policy_id}",
            f"Key applied: {_format_time(request.key_applied_at)}",
            f"Platform migration complete: {_format_time(request.migrated_at)}",
            "",
            "Request: restore the run history from before the platform migration for these",
            "flows. The documentation permits this request for 30 days after the migration.",
            "",
            f"Flows ({len(flows)}):",
            *listed,
        ),
    )


def build_environment_limit_draft(
    links: Sequence[PolicyLinkRecord], default_limit: int
) -> SupportRequestDraft:
    """Return the text that asks Microsoft to raise the limit of environments with keys.

    `links` are the policy links of the environments that have keys.
    """
    return SupportRequestDraft(
        subject="Power Automate: raise the limit of environments with customer-managed keys",
        lines=(
            f"Environments on customer-managed keys today: {len(links)}",
            f"Default limit of the tenant: {default_limit}",
            "",
            "Request: permit more environments with customer-managed keys in this tenant.",
            "",
            "Environments:",
            *(f"{one.environment_id}  {one.environment_name}  {one.policy_id}" for one in links),
        ),
    )


def _format_time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC, as the app saw it" if at else "unknown"
