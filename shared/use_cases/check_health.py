"""Read the health of the app: its store, its message broker, and the actions required."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from shared.domain.alert import Alert
from shared.domain.circuit_breaker import CircuitBreaker
from shared.domain.kill_switch import KillSwitch
from shared.domain.plans.channel_settings import format_channel_setting_names
from shared.domain.plans.notification import NotificationDelivery
from shared.domain.request_demand import RequestQueueStatus
from shared.jobs.due_scan import count_overdue_rows, read_names_of_rows_with_wake_up
from shared.jobs.engine import SOON
from shared.ports import UnusableChannel
from shared.queues import POISON
from shared.reason import Reason
from shared.services import Services
from shared.state.circuit_breakers import read_open_circuit_breakers
from shared.steps.write_permission import find_kill_switch
from shared.use_cases.read_job_index import (
    NeedsPeople,
    count_overdue_jobs,
    read_jobs_needing_people,
)
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.run_daily_check import QUEUES, SWEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingChannel:
    """A notification channel that rejects notifications or is not configured correctly."""

    channel: str
    #: Names of its settings; empty if it has none.
    settings: str
    #: Number of notifications that were rejected or wait for the channel.
    notification_count: int
    #: Number of consecutive rejections.
    attempts: int
    error: str
    #: When the first of the consecutive rejections was; None: a setting is invalid.
    failing_since: datetime | None
    fix: str
    #: A setting is invalid, so no notification is sent until it is corrected.
    is_unusable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The health of the app at one moment."""

    kill_switch_on: bool
    #: Who turned the kill switch on or off, when and why; None if it was never used.
    kill_switch: KillSwitch | None
    #: Number of poison messages.
    poison_messages: int
    #: Number of dead-lettered messages, by queue.
    dead_letters: dict[str, int]
    #: Number of open alerts, by reason code.
    alert_counts: dict[str, int]
    #: The open alerts, including those of unreadable rows that were found just now.
    alerts: tuple[Alert, ...]
    #: Services that do not answer. Jobs wait for them and continue automatically.
    outages: tuple[CircuitBreaker, ...]
    #: Jobs that wait for requests to the flow service. They continue automatically.
    request_queues: RequestQueueStatus
    #: Number of plans that await approval, and of jobs that are blocked or failed.
    plans_awaiting_approval: int
    action_required_count: int
    #: Channels that reject notifications.
    failing_channels: tuple[FailingChannel, ...]
    #: Time at which the last daily check completed; None if none has.
    last_daily_check_at: datetime | None
    #: Number of rows that the timer should have processed minutes ago; above 0, the timer is not
    #: running.
    overdue_rows: int
    #: Number of overdue rows without a wake-up; they wait until the daily check.
    without_wake_up: int


async def check_health(
    services: Services,
    known: NeedsPeople | None = None,
    reading: RowReader | None = None,
) -> Health:
    """Return the health of the app.

    `known` contains jobs that were just read, and `reading` the rows that could not be read then.
    Raises `TransientError` if the store or the broker does not answer.
    """
    tables, reading = services.tables, reading or RowReader()
    switch = await find_kill_switch(services)
    parked, *dead = await asyncio.gather(
        services.messages.count(POISON),
        *(services.messages.count(queue, dead_letters=True) for queue in QUEUES),
    )
    await reading.list_readable(tables.kill_switch.scan("kill_switch"))
    await reading.list_readable(tables.circuit_breakers.scan("circuit_breaker"))
    runs = {
        one.timer: one.completed_at
        for one in await reading.list_readable(tables.timer_runs.scan("timer"))
    }
    environment_jobs, flow_jobs = known or await read_jobs_needing_people(services, reading)
    failing = await read_failing_channels(services, reading)
    told = await reading.list_readable(tables.alerts.scan("alert"))
    told += _list_alerts_of_unreadable_rows(services, told, reading)
    counts = Counter(one.reason_code for one in told)
    return Health(
        kill_switch_on=switch is not None and switch.is_on,
        kill_switch=switch,
        poison_messages=parked,
        dead_letters=dict(zip(QUEUES, dead, strict=True)),
        alerts=tuple(told),
        alert_counts=dict(
            sorted(counts.items(), key=lambda one: (one[0] != Reason.BOTH_OFF, one[0]))
        ),
        outages=tuple(await read_open_circuit_breakers(services.tables)),
        request_queues=await services.request_budget.read_queue_status(),
        plans_awaiting_approval=sum(job.awaits_approval for job in environment_jobs),
        action_required_count=sum(job.needs_action for job in (*flow_jobs, *environment_jobs)),
        failing_channels=failing,
        last_daily_check_at=runs.get(SWEEP),
        overdue_rows=await count_overdue_rows(services),
        without_wake_up=await _count_rows_without_wake_up(services),
    )


async def _count_rows_without_wake_up(services: Services) -> int:
    late = services.now - SOON - services.settings.overdue_delay
    return await count_overdue_jobs(services, late, await read_names_of_rows_with_wake_up(services))


def _list_alerts_of_unreadable_rows(
    services: Services, told: list[Alert], reading: RowReader
) -> list[Alert]:
    code, known = Reason.UNREADABLE_ROW, {one.row for one in told}
    found = {row.row: row for row in reading.unreadable if row.row not in known}
    return [
        Alert(
            reason_code=code,
            row=name,
            message=str(row),
            raised_at=services.now,
            fix=row.fix,
        )
        for name, row in found.items()
    ]


async def read_failing_channels(
    services: Services, reading: RowReader
) -> tuple[FailingChannel, ...]:
    """Return the failing notification channels, sorted by name."""
    deliveries = await reading.list_readable(
        services.tables.notification_deliveries.scan("notification_delivery")
    )
    unusable = {
        one.name: one.error for one in services.channels if isinstance(one, UnusableChannel)
    }
    last: dict[str, NotificationDelivery] = {one.channel: one for one in deliveries if one.error}
    failing = []
    for channel in sorted({*unusable, *last}):
        mine = [one for one in deliveries if one.channel == channel]
        settings, wrong = format_channel_setting_names(channel), unusable.get(channel)
        failing.append(
            FailingChannel(
                channel=channel,
                settings=settings,
                notification_count=sum(_is_waiting(one, services.now) for one in mine),
                attempts=max((one.consecutive_failures for one in mine), default=0),
                error=wrong.reason if wrong else last[channel].error,
                failing_since=min(
                    (one.failing_since for one in mine if one.failing_since), default=None
                ),
                fix=wrong.fix if wrong else _format_channel_fix(settings),
                is_unusable=wrong is not None,
            )
        )
    return tuple(failing)


def _is_waiting(delivery: NotificationDelivery, now: datetime) -> bool:
    return delivery.consecutive_failures > 0 or (
        not delivery.sent_count and delivery.next_attempt_at <= now
    )


def _format_channel_fix(settings: str) -> str:
    where = (
        f"the address in {settings.partition(' ')[0]} and the service behind it"
        if settings
        else "it"
    )
    return f"Check {where}. Waiting notifications are sent when the channel accepts one."
