"""What is wrong, what waits for whom, how far is the tenant. Reads rows, never the platform."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.jobs.flow_job import FlowJob
from shared.domain.plans.changes_needed import waiting_changes
from shared.domain.plans.current_plan import CurrentPlan
from shared.domain.plans.environment_status import (
    EnvironmentStatus,
    OngoingFlows,
    by_state,
    environment_statuses,
    ongoing_flows,
)
from shared.domain.plans.job_index import newest_first
from shared.domain.plans.pending_actions import (
    OPERATOR_SIGN_IN,
    PendingAction,
    PendingActionKind,
    most_urgent_first,
    pending_alerts,
    pending_environment_actions,
    pending_flow_actions,
)
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import UnreadableRow
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.check_health import Health, check_health
from shared.use_cases.read_current_plans import read_current_plans
from shared.use_cases.read_job_index import read_known_jobs, read_what_needs_people
from shared.use_cases.read_remediation_rows import RowReader

#: The sweep comes once a day; a late one is not yet one that is missing.
SWEEP_IS_MISSING = timedelta(hours=26)
#: Its name among the timers: when the app first looked at what waits.
FIRST_LOOK = "first_look"
#: A channel that has not accepted so many tries in a row is reported by the others.
_OUT_AFTER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """One answer for whoever is asked, or asks."""

    #: What a person has to do, the most urgent first.
    waiting: tuple[PendingAction, ...]
    environments: tuple[EnvironmentStatus, ...]
    #: Flows of the tenant by state, blocked ones first.
    flows: Mapping[str, int]
    #: Flows that stay on Microsoft's key as far as the work has come by now, by why.
    left: Mapping[NotMigratedReason, int]
    #: What ends by itself, and when.
    ongoing: tuple[OngoingFlows, ...]
    health: Health
    #: Rows that this version of the app cannot read.
    unreadable: tuple[UnreadableRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingActions:
    """What waits for a person, and what was read to know it."""

    #: The most urgent first.
    items: tuple[PendingAction, ...]
    environment_jobs: Sequence[EnvironmentJob]
    #: The current plan of each environment that has one.
    plans: Mapping[str, CurrentPlan]
    blocked_jobs: Sequence[FlowJob]
    health: Health
    #: Rows that this version of the app cannot read.
    unreadable: Sequence[UnreadableRow]


async def read_pending_actions(services: Services) -> PendingActions:
    """Return what waits for a person, from the rows of environments and of what is stuck.

    Raises `TransientError` where store or broker do not answer.
    """
    reading = RowReader()
    known = await read_what_needs_people(services, reading)
    environment_jobs, flow_jobs = known
    health = await check_health(services, known, reading)
    plans = await read_current_plans(services, environment_jobs, reading)
    waiting = [
        *pending_flow_actions(flow_jobs, _names(environment_jobs)),
        *pending_environment_actions(environment_jobs),
        *waiting_changes(plans.values()),
        *pending_alerts(health.alerts),
        *_of_the_app(services, health, await _since(services, health)),
    ]
    return PendingActions(
        items=tuple(_typed(services, one) for one in most_urgent_first(waiting)),
        environment_jobs=environment_jobs,
        plans=plans,
        blocked_jobs=[job for job in flow_jobs if job.needs_action],
        health=health,
        unreadable=reading.unreadable,
    )


async def show_status(services: Services) -> TenantStatus:
    """Return what waits for a person, and how far the tenant is; reads the rows that are open.

    Raises `TransientError` where store or broker do not answer.
    """
    tables, reading = services.tables, RowReader()
    waits = await read_pending_actions(services)
    known = await read_known_jobs(services, reading)
    created = {}
    for identity in dict.fromkeys(job.remediation_id for job in known.environment_jobs):
        with reading.one():
            if kept := await tables.remediations.get("remediation", identity):
                created[identity] = kept.item.created
    jobs = newest_first(known.environment_jobs, created)
    environments = environment_statuses(jobs, waits.plans, known.flow_jobs, known.closed)
    left: Counter[NotMigratedReason] = Counter()
    for one in environments:
        left.update(one.left)
    return TenantStatus(
        waiting=waits.items,
        environments=tuple(environments),
        flows=by_state(known.flow_jobs, *known.closed.values()),
        left={why: left[why] for why in NotMigratedReason if left[why]},
        ongoing=tuple(ongoing_flows(known.flow_jobs, _names(jobs))),
        health=waits.health,
        unreadable=tuple(
            {row.row: row for row in (*waits.unreadable, *reading.unreadable)}.values()
        ),
    )


def _typed(services: Services, waiting: PendingAction) -> PendingAction:
    """Return it with the options that its command needs, so that it can be typed as it stands."""
    if waiting.command != OPERATOR_SIGN_IN:
        return waiting
    settings = services.settings
    options = {
        "--tenant": settings.tenant_id,
        "--client-id": settings.service_account_client_id,
        "--token-cache-secret": settings.service_account_token_cache_secret,
    }
    words = [word for name, value in options.items() if value for word in (name, value)]
    return replace(waiting, command=shlex.join([*OPERATOR_SIGN_IN.split(), *words]))


def _names(environment_jobs: Sequence[EnvironmentJob]) -> dict[str, str]:
    return {job.environment_id: job.environment_name for job in environment_jobs}


async def _since(services: Services, health: Health) -> datetime | None:
    """Return since when a sweep is waited for: the last one, or the app's first look; or None."""
    if health.last_daily_check_at:
        return health.last_daily_check_at
    first = await services.tables.timer_runs.get("timer", FIRST_LOOK)
    return first.item.completed_at if first else None


def _of_the_app(services: Services, health: Health, since: datetime | None) -> list[PendingAction]:
    """Return what holds up more than one row; `since` then a sweep is waited for."""
    found = []
    if messages := health.parked + sum(health.dead_letters.values()):
        found.append(
            PendingAction(
                cause=PendingActionKind.UNPROCESSED_MESSAGES,
                count=messages,
                reason=f"{health.parked} messages are parked; the broker gave up on the others.",
                instruction="Read each and the reason on it (docs/runbook.md).",
                command="cmkflow health",
            )
        )
    found += [
        PendingAction(
            cause=PendingActionKind.CHANNEL_FAILING,
            code=failing.channel,
            count=failing.notifications,
            reason=failing.error,
            instruction=failing.instruction,
            command="cmkflow health",
        )
        for failing in health.failing_channels
        if failing.is_unusable or failing.tries >= _OUT_AFTER
    ]
    if health.kill_switch_on:
        found.append(
            PendingAction(
                cause=PendingActionKind.KILL_SWITCH_ON,
                code=Reason.KILL_SWITCH_ON,
                count=1,
                reason="The kill switch is on: nothing is written.",
                instruction="Turn it off once what it was turned on for is settled.",
                command='cmkflow kill-switch off --justification "The cause is fixed."',
            )
        )
    if health.without_wake_up:
        found.append(
            PendingAction(
                cause=PendingActionKind.WAKE_UP,
                count=health.without_wake_up,
                reason="Their rows in the table reminders are missing: the timer does not look.",
                instruction="Run the timer run_daily_check: it writes them anew. So does the "
                "next daily sweep. Nothing is lost: every original works.",
                command="cmkflow health",
            )
        )
    if since and services.now - since > SWEEP_IS_MISSING:
        last = (
            "The last sweep ended"
            if health.last_daily_check_at
            else "None has ended since the app began"
        )
        found.append(
            PendingAction(
                cause=PendingActionKind.DAILY_CHECK_MISSING,
                count=1,
                reason=f"{last} at {since:%Y-%m-%d %H:%M} UTC.",
                instruction="See in the app's log why the timer run_daily_check did not end.",
                command="cmkflow health",
            )
        )
    return found
