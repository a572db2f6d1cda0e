"""Build the page of support requests: how long each can be filed, its draft, and who filed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from functions.dashboard.page_actions import PageAction, build_page_action
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.plans.pending_actions import format_count
from shared.domain.plans.support_request import (
    COUNTED_FROM,
    SupportRequest,
    SupportRequestKind,
    SupportRequestState,
    build_support_request_id,
)
from shared.domain.principal import Principal
from shared.use_cases.manage_support_requests import SupportRequestView

TITLES = {
    SupportRequestKind.RUN_HISTORY: "Run history from before the key",
    SupportRequestKind.ENVIRONMENT_LIMIT: "More environments on your key",
}
_LOOKS = {
    SupportRequestState.OPEN: "wait",
    SupportRequestState.FILED: "done",
    SupportRequestState.EXPIRED: "over",
}


PATH = "/api/dashboard/support-requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """A support request on the page, with the action that changes its state."""

    title: str
    where: str
    look: str
    state: str
    #: From when the days count; empty without a countdown.
    note: str
    url: str
    action: PageAction


def build_support_requests_page(
    view: PageContext, every: Sequence[SupportRequest], shown: SupportRequestView | None
) -> str:
    """Return the page of the support requests, with the draft of the request `shown`."""
    count = sum(one.find_state(view.now) is SupportRequestState.OPEN for one in every)
    return render_page(
        "support_requests",
        view,
        section="Environments",
        open_count=count,
        lines=[_build_request_line(one, view) for one in every],
        title=TITLES[shown.request.kind] if shown else "",
        where=_format_environment_name(shown.request) if shown else "",
        draft=shown.draft if shown else None,
    )


def build_draft_url(kind: str, environment_id: str) -> str:
    return f"{PATH}?{urlencode({'request': build_support_request_id(kind, environment_id)})}"


def _build_request_line(request: SupportRequest, view: PageContext) -> RequestLine:
    return RequestLine(
        title=TITLES[request.kind],
        where=_format_environment_name(request),
        look=_LOOKS[request.find_state(view.now)],
        state=describe_support_request(request, view.now),
        note=COUNTED_FROM if request.count_days_left(view.now) is not None else "",
        url=build_draft_url(request.kind, request.environment_id),
        action=_build_file_or_reopen_action(request, view.principal),
    )


def _format_environment_name(request: SupportRequest) -> str:
    return request.environment_name or request.environment_id or "All environments"


def describe_support_request(request: SupportRequest, now: datetime) -> str:
    match request.find_state(now):
        case SupportRequestState.FILED:
            return (
                f"Filed by {request.filed_by} on {request.filed_at:%Y-%m-%d}, "
                f"ticket {request.ticket_number}"
            )
        case SupportRequestState.EXPIRED:
            return f"Not filed; support could restore runs until {request.closes_at:%Y-%m-%d}"
        case SupportRequestState.OPEN:
            days = request.count_days_left(now)
            if days is None:
                return "Not filed"
            left = format_count(days, "day")
            return f"{left} left to file it, until {request.closes_at:%Y-%m-%d}"


def _build_file_or_reopen_action(request: SupportRequest, principal: Principal) -> PageAction:
    if request.filed_at:
        return build_page_action(
            "support-requests/{id}/reopen",
            "Reopen",
            principal,
            identity=request.id,
            does=["The request counts as not filed. Its ticket number is removed here."],
        )
    return build_page_action(
        "support-requests/{id}/filed",
        "Mark as filed",
        principal,
        identity=request.id,
        asks=("ticket_number", "Ticket number"),
        does=["The request counts as filed. Your name and the ticket number are recorded."],
    )
