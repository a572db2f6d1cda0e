"""API: the health of the app."""

from datetime import datetime

from functions.endpoints import ApiRequest, endpoint
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ApiResponse
from functions.kill_switch_api import KillSwitchResponse
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.check_health import check_health


class OutageResponse(ApiResponse):
    """A service that does not answer."""

    service: str
    #: An environment's id or a host.
    endpoint: str
    opened_at: datetime
    message: str
    #: Time of the next try.
    probe_at: datetime


class RequestQueueResponse(ApiResponse):
    """The jobs that wait for requests to the flow service."""

    waiting: int
    #: Requests per minute that are allowed now; the app adapts it to the service's answers.
    requests_per_minute: int
    #: Requests left of the last 24 hours, minus a reserve of 10 %; null if they are not counted.
    remaining_today: int | None
    #: Time of the next allowed request; null if no job waits.
    next_at: datetime | None


class FailingChannelResponse(ApiResponse):
    """A notification channel that rejects notifications or has wrong settings."""

    channel: str
    #: Names of its settings; empty if it has none.
    settings: str
    #: Number of notifications that were rejected or wait for the channel.
    notification_count: int
    #: Number of consecutive rejections.
    attempts: int
    error: str
    #: Time of the first of the consecutive rejections; null if a setting is invalid.
    failing_since: datetime | None
    #: What to do.
    fix: str
    #: A setting is invalid, so no notification is sent until it is corrected.
    is_unusable: bool


class HealthResponse(ApiResponse):
    """The health of the app, while the store and the broker answer."""

    kill_switch_on: bool
    #: Who turned the kill switch on or off, when and why; null if it was never used.
    kill_switch: KillSwitchResponse | None
    #: Number of poison messages.
    poison_messages: int
    #: Number of dead-lettered messages, by queue.
    dead_letters: dict[str, int]
    #: Number of open alerts, by reason code.
    alert_counts: dict[str, int]
    #: Services that do not answer. Jobs wait for them and continue automatically.
    outages: tuple[OutageResponse, ...]
    #: Jobs that wait for requests to the flow service. They continue automatically.
    request_queues: RequestQueueResponse
    #: Number of plans that await approval, and of jobs that are blocked or failed.
    plans_awaiting_approval: int
    action_required_count: int
    #: Channels that reject notifications.
    failing_channels: tuple[FailingChannelResponse, ...]
    #: Time at which the last daily check completed; null if none has.
    last_daily_check_at: datetime | None
    #: Number of rows that the timer should have processed minutes ago; above 0, the timer is not
    #: running.
    overdue_rows: int
    #: Number of overdue rows without a wake-up; they wait until the daily check.
    without_wake_up: int


@endpoint(role=Role.READER)
async def show_health(_call: ApiRequest[NoQuery, NoBody]) -> HealthResponse:
    """Return the health of the app, or 503 if the store or the broker does not answer."""
    return HealthResponse.model_validate(await check_health(services()))
