"""Whether the app can work: its store and its broker answer, and what waits there for a person."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from shared.circuit_breakers import open_circuits
from shared.domain.alert import Alert
from shared.domain.circuit_breaker import CircuitBreaker
from shared.domain.plans.channel_settings import settings_of
from shared.domain.plans.notification import NotificationDelivery
from shared.domain.request_demand import RequestQueueStatus
from shared.jobs.due_scan import count_overdue_rows, reminded_rows
from shared.jobs.engine import SOON
from shared.ports import UnusableChannel
from shared.queues import POISON
from shared.reason import Reason
from shared.services import Services
from shared.steps.write_permission import kill_switch
from shared.use_cases.read_job_index import NeedsPeople, count_overdue, read_what_needs_people
from shared.use_cases.read_remediation_rows import RowReader
from shared.use_cases.run_daily_check import QUEUES, SWEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class FailingChannel:
    """A channel that does not accept notifications, or cannot be used at all, and why."""

    channel: str
    #: Names of its settings; empty: it has none.
    settings: str
    #: Those that it has not accepted, or that wait until it does.
    notifications: int
    #: How often in a row it has not accepted one of them.
    tries: int
    error: str
    instruction: str
    #: One of its settings cannot be used: it accepts nothing until that is corrected.
    is_unusable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an administrator looks at first."""

    kill_switch_on: bool
    #: Messages that nobody could read.
    parked: int
    #: Messages the broker gave up on, by queue.
    dead_letters: dict[str, int]
    #: Rows that need a person, of which people were told, by code.
    notices: dict[str, int]
    #: The same; for a row that was just found to be unreadable, there is no row of a notice yet.
    alerts: tuple[Alert, ...]
    #: Services that are out: jobs wait for them, and go on by themselves.
    outages: tuple[CircuitBreaker, ...]
    #: Jobs that wait for calls of the flow service: they go on by themselves.
    calls: RequestQueueStatus
    #: Plans that wait for an approval, and jobs that are blocked or failed.
    plans_awaiting_approval: int
    stuck: int
    #: Channels that do not accept notifications.
    failing_channels: tuple[FailingChannel, ...]
    #: When the last daily sweep came to its end; None: none has yet.
    last_daily_check_at: datetime | None
    #: Rows that the timer `resend_overdue` should have looked at minutes ago: it stands still.
    overdue_rows: int
    #: Overdue rows without a reminder: the timer does not look at them before the daily sweep.
    without_wake_up: int


async def check_health(
    services: Services,
    known: NeedsPeople | None = None,
    reading: RowReader | None = None,
) -> Health:
    """Return what waits for a person; raises `TransientError` where store or broker do not answer.

    `known`: what the caller has just read of jobs; `reading`: what it could not read.
    """
    tables, reading = services.tables, reading or RowReader()
    switch = await kill_switch(services)
    parked, *dead = await asyncio.gather(
        services.messages.count(POISON),
        *(services.messages.count(queue, dead_letters=True) for queue in QUEUES),
    )
    await reading.all(tables.kill_switch.scan("kill_switch"))
    await reading.all(tables.circuit_breakers.scan("circuit_breaker"))
    runs = {
        one.timer: one.completed_at for one in await reading.all(tables.timer_runs.scan("timer"))
    }
    environment_jobs, flow_jobs = known or await read_what_needs_people(services, reading)
    failing = await failing_channels(services, reading)
    told = await reading.all(tables.alerts.scan("alert"))
    told += _untold(services, told, reading)
    counts = Counter(one.code for one in told)
    return Health(
        kill_switch_on=switch is not None and switch.is_on,
        parked=parked,
        dead_letters=dict(zip(QUEUES, dead, strict=True)),
        alerts=tuple(told),
        notices=dict(sorted(counts.items(), key=lambda one: (one[0] != Reason.BOTH_OFF, one[0]))),
        outages=tuple(await open_circuits(services.tables)),
        calls=await services.request_budget.queue_status(),
        plans_awaiting_approval=sum(job.awaits_approval for job in environment_jobs),
        stuck=sum(job.needs_action for job in (*flow_jobs, *environment_jobs)),
        failing_channels=failing,
        last_daily_check_at=runs.get(SWEEP),
        overdue_rows=await count_overdue_rows(services),
        without_wake_up=await _without_wake_up(services),
    )


async def _without_wake_up(services: Services) -> int:
    """Return how many overdue rows have no reminder: the timer does not look at them."""
    late = services.now - SOON - services.settings.overdue_delay
    return await count_overdue(services, late, await reminded_rows(services))


def _untold(services: Services, told: list[Alert], reading: RowReader) -> list[Alert]:
    """Return a notice for each row that was just found to be unreadable."""
    code, known = Reason.UNREADABLE_ROW, {one.row for one in told}
    found = {row.row: row for row in reading.unreadable if row.row not in known}
    return [
        Alert(
            code=code,
            row=name,
            message=str(row),
            raised_at=services.now,
            instruction=row.instruction,
        )
        for name, row in found.items()
    ]


async def failing_channels(services: Services, reading: RowReader) -> tuple[FailingChannel, ...]:
    """Return the channels that accept nothing, by name."""
    deliveries = await reading.all(
        services.tables.notification_deliveries.scan("notification_delivery")
    )
    unusable = {
        one.name: one.error for one in services.channels if isinstance(one, UnusableChannel)
    }
    last: dict[str, NotificationDelivery] = {one.channel: one for one in deliveries if one.error}
    failing = []
    for channel in sorted({*unusable, *last}):
        mine = [one for one in deliveries if one.channel == channel]
        settings, wrong = settings_of(channel), unusable.get(channel)
        failing.append(
            FailingChannel(
                channel=channel,
                settings=settings,
                notifications=sum(_waits(one, services.now) for one in mine),
                tries=max((one.consecutive_failures for one in mine), default=0),
                error=wrong.reason if wrong else last[channel].error,
                instruction=wrong.instruction if wrong else _repair(settings),
                is_unusable=wrong is not None,
            )
        )
    return tuple(failing)


def _waits(delivery: NotificationDelivery, now: datetime) -> bool:
    return delivery.consecutive_failures > 0 or (
        not delivery.sent_count and delivery.next_attempt_at <= now
    )


def _repair(settings: str) -> str:
    where = f"the address in {settings.partition(' ')[0]} and its receiver" if settings else "it"
    return f"Check {where}. What waits is sent once it accepts a notification."
