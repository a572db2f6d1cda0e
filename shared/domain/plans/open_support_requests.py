"""Build pending actions for open support requests."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from shared.domain.plans.pending_actions import (
    PendingAction,
    PendingActionKind,
    format_count,
)
from shared.domain.plans.support_request import (
    COUNTED_FROM,
    SupportRequest,
    SupportRequestKind,
    SupportRequestState,
)

_WHY: Mapping[SupportRequestKind, str] = {
    SupportRequestKind.RUN_HISTORY: (
        "Microsoft's support can restore run history from before the key."
    ),
    SupportRequestKind.ENVIRONMENT_LIMIT: (
        "The number of environments on keys is near the default limit, or above it."
    ),
}


def list_pending_support_requests(
    requests: Iterable[SupportRequest], now: datetime
) -> list[PendingAction]:
    """Return a pending action for each support request that nobody has filed."""
    return [
        PendingAction(
            kind=PendingActionKind.SUPPORT_REQUEST,
            reason_code=one.kind,
            count=1,
            environment_id=one.environment_id,
            environment_name=one.environment_name,
            message=f"{_WHY[one.kind]}{_format_days_left(one, now)}",
            fix=(
                "File it with its draft in the Power Platform admin center, then mark it as filed."
            ),
            next_command=f"cmkflow support-request show {one.id}",
            pending_since=one.opened_at,
            expires_at=one.closes_at,
        )
        for one in requests
        if one.find_state(now) is SupportRequestState.OPEN
    ]


def _format_days_left(one: SupportRequest, now: datetime) -> str:
    days = one.count_days_left(now)
    if days is None:
        return ""
    return f" {format_count(days, 'day')} left, until {one.closes_at:%Y-%m-%d}. {COUNTED_FROM}"
