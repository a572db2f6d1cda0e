"""HTTP: whether the app can work, and what waits for a person."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.check_health import check_health


class OutageResponse(ApiResponse):
    """A service that gives no answer."""

    service: str
    #: An environment's id or a host.
    place: str
    opened: datetime
    reason: str
    #: When it is tried again.
    probe_at: datetime


class RequestQueueResponse(ApiResponse):
    """Who waits for calls of the flow service."""

    waiting: int
    #: As many as are allowed by now: it is learnt.
    calls_per_minute: int
    #: Calls of 24 hours that are left, but for a tenth; null: they are not counted.
    left_of_day: int | None
    #: When the next of them may be made; null: nobody waits.
    next_at: datetime | None


class FailingChannelResponse(ApiResponse):
    """A channel that does not accept notifications, or cannot be used at all, and why."""

    channel: str
    #: Names of its settings; empty: it has none.
    settings: str
    #: Those that it has not accepted, or that wait until it does.
    notifications: int
    #: How often in a row it has not accepted one of them.
    tries: int
    error: str
    #: What to do.
    instruction: str
    #: One of its settings cannot be used: it accepts nothing until that is corrected.
    is_unusable: bool


class HealthResponse(ApiResponse):
    """Store and broker have answered; what they told."""

    kill_switch_on: bool
    #: Messages that nobody could read.
    parked: int
    #: Messages the broker gave up on, by queue.
    dead_letters: dict[str, int]
    #: Rows that need a person, of which people were told, by code.
    notices: dict[str, int]
    #: Services that are out: jobs wait for them, and go on by themselves.
    outages: tuple[OutageResponse, ...]
    #: Jobs that wait for calls of the flow service: they go on by themselves.
    calls: RequestQueueResponse
    #: Plans that wait for an approval, and jobs that are blocked or failed.
    plans_waiting: int
    stuck: int
    #: Channels that do not accept notifications.
    failing_channels: tuple[FailingChannelResponse, ...]
    #: When the last daily sweep came to its end; null: none has yet.
    last_sweep: datetime | None
    #: Rows that the timer `resend_overdue` should have looked at minutes ago: it stands still.
    unlooked: int
    #: Overdue rows without a reminder: the timer does not look at them before the daily sweep.
    without_wake_up: int


@endpoint(role=Role.READER, answer=HealthResponse)
async def show_health(_call: ApiRequest[NoQuery, NoBody]) -> HealthResponse:
    """Return 200 if the store and the broker answer, 503 if not."""
    return HealthResponse.model_validate(await check_health(services()))
