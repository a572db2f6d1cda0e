"""Read the status of the tenant from stored rows."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.alert import Alert
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.kill_switch import EFFECT
from shared.domain.plans.changes_needed import list_pending_flow_changes
from shared.domain.plans.current_plan import CurrentPlan
from shared.domain.plans.environment_status import (
    EnvironmentStatus,
    OngoingFlows,
    build_environment_statuses,
    count_jobs_by_state,
    list_ongoing_flows,
)
from shared.domain.plans.incomplete_firewalls import (
    FirewallFacts,
    count_flows_blocked_by,
    find_blocking_firewalls,
)
from shared.domain.plans.job_index import sort_newest_first
from shared.domain.plans.open_support_requests import list_pending_support_requests
from shared.domain.plans.pending_actions import (
    OPERATOR_SIGN_IN,
    PendingAction,
    PendingActionKind,
    list_pending_alerts,
    list_pending_deletion_actions,
    list_pending_environment_actions,
    list_pending_flow_actions,
    sort_most_urgent_first,
)
from shared.domain.plans.plan_item import NotMigratedReason
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import UnreadableRow
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.check_health import Health, check_health
from shared.use_cases.read_current_plans import read_current_plans
from shared.use_cases.read_job_index import (
    KnownJobs,
    NeedsPeople,
    get_rows,
    read_jobs_needing_people,
    read_known_jobs,
)
from shared.use_cases.read_remediation_rows import RowReader

#: Time without a completed daily check after which an action is required.
SWEEP_IS_MISSING = timedelta(hours=26)
#: Timer name of the first run that read pending actions.
FIRST_LOOK = "first_look"
#: Codes of alerts about rows of any table.
_OF_ANY_ROW = {Reason.UNREADABLE_ROW, Reason.ROW_SKIPPED}
#: Number of consecutive rejections after which the other channels report a channel.
_OUT_AFTER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatus:
    """The status of the tenant: environments, flows, actions required and health."""

    #: Actions required, most urgent first.
    pending_actions: tuple[PendingAction, ...]
    environments: tuple[EnvironmentStatus, ...]
    #: Number of flows by state, blocked states first.
    flows: Mapping[str, int]
    #: Number of flows that are not migrated so far, by reason.
    not_migrated: Mapping[NotMigratedReason, int]
    #: Number of firewalls that block flows, and of the flows that they block.
    blocking_firewall_count: int
    firewall_blocked_flow_count: int
    #: Flows that the app continues automatically, and when.
    ongoing: tuple[OngoingFlows, ...]
    health: Health
    #: Rows that this version of the app cannot read.
    unreadable_rows: tuple[UnreadableRow, ...]

    @property
    def migrated_count(self) -> int:
        """Return how many flows of all environments are migrated."""
        return sum(one.migrated_count for one in self.environments)

    @property
    def flow_count(self) -> int:
        """Return how many flows of all environments are migrated, prepared or not migrated."""
        return sum(one.flow_count for one in self.environments)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingActions:
    """The actions required, and the rows from which they follow."""

    #: Most urgent first.
    items: tuple[PendingAction, ...]
    environment_jobs: Sequence[EnvironmentJob]
    #: The current plan of each environment that has one.
    plans: Mapping[str, CurrentPlan]
    blocked_jobs: Sequence[FlowJob]
    health: Health
    #: Rows that this version of the app cannot read.
    unreadable_rows: Sequence[UnreadableRow]


async def read_pending_actions(services: Services) -> PendingActions:
    """Return the actions required in the tenant.

    Raises `TransientError` if the store or the broker does not answer.
    """
    reading = RowReader()
    known = await read_jobs_needing_people(services, reading)
    environment_jobs, flow_jobs = known
    health = await check_health(services, known, reading)
    plans = await read_current_plans(services, environment_jobs, reading)
    waiting = [
        *list_pending_flow_actions(flow_jobs, _get_environment_names(environment_jobs)),
        *list_pending_environment_actions(environment_jobs),
        *list_pending_flow_changes(plans.values()),
        *list_pending_deletion_actions(
            await _read_blocked_deletions(services, health.alerts, reading)
        ),
        *list_pending_alerts(_select_alerts_without_job(services, known, health.alerts)),
        *_list_actions_of_app(
            services, health, await _read_daily_check_awaited_since(services, health)
        ),
        *list_pending_support_requests(
            await reading.list_readable(services.tables.support_requests.scan("support_request")),
            services.now,
        ),
    ]
    return PendingActions(
        items=tuple(_add_sign_in_options(services, one) for one in sort_most_urgent_first(waiting)),
        environment_jobs=environment_jobs,
        plans=plans,
        blocked_jobs=[job for job in flow_jobs if job.needs_action],
        health=health,
        unreadable_rows=reading.unreadable,
    )


async def show_status(services: Services) -> TenantStatus:
    """Return the status of the tenant.

    Raises `TransientError` if the store or the broker does not answer.
    """
    reading = RowReader()
    pending = await read_pending_actions(services)
    known = await read_known_jobs(services, reading)
    jobs = await read_environment_jobs_newest_first(services, known, reading)
    environments = build_environment_statuses(jobs, pending.plans, known.flow_jobs, known.closed)
    left: Counter[NotMigratedReason] = Counter()
    for one in environments:
        left.update(one.not_migrated)
    facts = FirewallFacts(environment_jobs=pending.environment_jobs, flow_jobs=pending.blocked_jobs)
    blocking = find_blocking_firewalls(facts)
    return TenantStatus(
        pending_actions=pending.items,
        environments=tuple(environments),
        flows=count_jobs_by_state(known.flow_jobs, *known.closed.values()),
        not_migrated={why: left[why] for why in NotMigratedReason if left[why]},
        blocking_firewall_count=len(blocking),
        firewall_blocked_flow_count=count_flows_blocked_by(blocking, pending.blocked_jobs),
        ongoing=tuple(list_ongoing_flows(known.flow_jobs, _get_environment_names(jobs))),
        health=pending.health,
        unreadable_rows=tuple(
            {row.row: row for row in (*pending.unreadable_rows, *reading.unreadable)}.values()
        ),
    )


async def read_environment_jobs_newest_first(
    services: Services, known: KnownJobs, reading: RowReader
) -> list[EnvironmentJob]:
    """Return the environment jobs, sorted by the start of their remediations, newest first."""
    ids = dict.fromkeys(job.remediation_id for job in known.environment_jobs)
    places = [("remediation", one) for one in ids]
    found = await get_rows(services.tables.remediations, places, reading)
    return sort_newest_first(known.environment_jobs, {one.id: one.created_at for one in found})


def _add_sign_in_options(services: Services, waiting: PendingAction) -> PendingAction:
    """Return the action with the options of its command, if that signs in the service account."""
    if waiting.next_command != OPERATOR_SIGN_IN:
        return waiting
    settings = services.settings
    options = {
        "--tenant": settings.tenant_id,
        "--client-id": settings.service_account_client_id,
        "--token-cache-secret": settings.service_account_token_cache_secret,
    }
    words = [word for name, value in options.items() if value for word in (name, value)]
    return replace(waiting, next_command=shlex.join([*OPERATOR_SIGN_IN.split(), *words]))


def _select_alerts_without_job(
    services: Services, known: NeedsPeople, alerts: Sequence[Alert]
) -> list[Alert]:
    """Return the alerts that are not about failed jobs or blocked deletions.

    Those are pending actions themselves.
    """
    environment_jobs, flow_jobs = known
    tables = services.tables
    failed = {tables.flow_jobs.get_row_name(job) for job in flow_jobs if job.needs_action}
    failed |= {
        tables.environment_jobs.get_row_name(job) for job in environment_jobs if job.needs_action
    }
    return [
        one
        for one in alerts
        if (one.reason_code != Reason.INTERNAL_ERROR or one.row not in failed)
        and not _is_about_deletion(services, one)
    ]


def _is_about_deletion(services: Services, alert: Alert) -> bool:
    return alert.row[0] == services.tables.deletions.name and alert.reason_code not in _OF_ANY_ROW


async def _read_blocked_deletions(
    services: Services, alerts: Sequence[Alert], reading: RowReader
) -> list[Deletion]:
    places = {one.row[1:] for one in alerts if _is_about_deletion(services, one)}
    found = await get_rows(services.tables.deletions, sorted(places), reading)
    return [one for one in found if one.state is DeletionState.BLOCKED]


def _get_environment_names(environment_jobs: Sequence[EnvironmentJob]) -> dict[str, str]:
    return {job.environment_id: job.environment_name for job in environment_jobs}


async def _read_daily_check_awaited_since(services: Services, health: Health) -> datetime | None:
    """Return when the last daily check completed, or else when the app first ran.

    Returns None if neither is known.
    """
    if health.last_daily_check_at:
        return health.last_daily_check_at
    first = await services.tables.timer_runs.get("timer", FIRST_LOOK)
    return first.item.completed_at if first else None


def _list_actions_of_app(
    services: Services, health: Health, since: datetime | None
) -> list[PendingAction]:
    """Return the actions that concern the whole app.

    `since` is the time since when the next daily check is awaited.
    """
    found = []
    dead = sum(health.dead_letters.values())
    if messages := health.poison_messages + dead:
        found.append(
            PendingAction(
                kind=PendingActionKind.UNPROCESSED_MESSAGES,
                count=messages,
                message=f"Poison messages: {health.poison_messages}. Dead letters: {dead}.",
                fix="Read each message and its reason (docs/runbook.md).",
                next_command="cmkflow health",
            )
        )
    found += [
        PendingAction(
            kind=PendingActionKind.CHANNEL_FAILING,
            reason_code=failing.channel,
            count=failing.notification_count,
            message=failing.error,
            fix=failing.fix,
            next_command="cmkflow health",
            pending_since=failing.failing_since,
        )
        for failing in health.failing_channels
        if failing.is_unusable or failing.attempts >= _OUT_AFTER
    ]
    switch = health.kill_switch
    if switch and switch.is_on:
        by = f"{switch.changed_by} turned the kill switch on: " if switch.changed_by else ""
        found.append(
            PendingAction(
                kind=PendingActionKind.KILL_SWITCH_ON,
                reason_code=Reason.KILL_SWITCH_ON,
                count=1,
                message=f"{EFFECT} {by}{switch.justification}",
                pending_since=switch.changed_at if switch.changed_by else None,
                fix="Turn it off when the reason is fixed.",
                next_command='cmkflow kill-switch off --justification "The reason is fixed."',
            )
        )
    if health.without_wake_up:
        found.append(
            PendingAction(
                kind=PendingActionKind.WAKE_UP,
                count=health.without_wake_up,
                message="Wake-ups of these rows are missing, so the timer does not process them.",
                fix="Run the timer run_daily_check, or wait for the next daily check: it "
                "creates them again. Nothing is lost, and all originals work.",
                next_command="cmkflow health",
            )
        )
    if since and services.now - since > SWEEP_IS_MISSING:
        last = (
            "The last daily check completed"
            if health.last_daily_check_at
            else "None completed since the app started"
        )
        found.append(
            PendingAction(
                kind=PendingActionKind.DAILY_CHECK_MISSING,
                count=1,
                pending_since=since,
                message=f"{last} at {since:%Y-%m-%d %H:%M} UTC.",
                fix="Check in the app's log why the timer run_daily_check did not complete.",
                next_command="cmkflow health",
            )
        )
    return found
