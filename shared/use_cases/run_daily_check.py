"""Run all checks of the day."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shared.alerts import (
    alert_unreadable_row,
    catch_row_errors,
    format_error_cause,
    read_readable,
    send_alert,
)
from shared.domain.environment import Environment
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import Remediation, RemediationMode, StartSource
from shared.domain.timer_run import TimerRun
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, JobBlocked, UnreadableRow
from shared.jobs.due_scan import restore_wake_ups
from shared.logs.fields import get_product_log
from shared.ports import Condition
from shared.queues import ENVIRONMENT_JOBS, FLOW_JOBS, KEY_EVENTS, POISON, POLICY_EVENTS
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.caller_index import index_trigger_urls_of_plans
from shared.steps.flows.discovery_pages import delete_stale_discoveries
from shared.steps.flows.network_snapshot import delete_stale_readings
from shared.steps.retiring.check_notification_channels import find_channels_of_job
from shared.steps.retiring.cutover_toggle import are_both_off
from shared.steps.updating_callers.find_callers import delete_stale_searches
from shared.steps.updating_callers.record_callers import has_manual_caller
from shared.use_cases.change_remediation import retry_job
from shared.use_cases.change_solution_setting import complete_or_report_unfinished_changes
from shared.use_cases.check_in_rotation import delete_unused_results
from shared.use_cases.check_keys import record_key_checks
from shared.use_cases.clean_up_ended_jobs import turn_off_orphaned_copies
from shared.use_cases.clean_up_late_invocations import clean_up_late_invocations
from shared.use_cases.compare_job_index import compare_job_index
from shared.use_cases.correct_damaged_rows import correct_damaged_rows
from shared.use_cases.delete_old_audit_entries import delete_old_audit_entries
from shared.use_cases.delete_old_plans import delete_old_plans
from shared.use_cases.delete_old_remediations import delete_old_remediations
from shared.use_cases.delete_old_snapshots import delete_old_snapshots
from shared.use_cases.manage_firewall_fixes import complete_or_report_unfinished_fixes
from shared.use_cases.manage_support_requests import update_environment_limit_request
from shared.use_cases.observed_callers import record_observed_callers
from shared.use_cases.read_job_index import COMPARED
from shared.use_cases.record_address_ranges import record_address_ranges
from shared.use_cases.record_blocked_calls import record_blocked_calls
from shared.use_cases.report_failed_runs import report_failed_runs
from shared.use_cases.report_reactivated_originals import report_reactivated_originals
from shared.use_cases.seal_audit_log import seal_audit_log
from shared.use_cases.start_remediation import (
    create_missing_jobs_of_recent_remediations,
    start_remediation,
)

log = get_product_log(__name__)

#: Name of the daily check among the timers.
SWEEP = "sweep"

QUEUES = (KEY_EVENTS, POLICY_EVENTS, ENVIRONMENT_JOBS, FLOW_JOBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyCheckResult:
    """What a daily check has started and found."""

    environments: int
    poison_messages: int
    dead_letters: dict[str, int]
    #: Names of retired originals that are on again.
    retired_originals_on: tuple[str, ...]
    #: Number of flows whose state is unknown today; they are checked first the next time.
    not_checked_count: int
    retried: int


async def run_daily_check(services: Services, date: str) -> DailyCheckResult:
    """Run all daily checks, and start a remediation for each linked environment.

    Starts only one for each `date`, and none while a plan of the environment awaits a decision.
    """
    await correct_damaged_rows(services)
    async with _log_or_alert_error(services, "seal of the audit log"):
        await seal_audit_log(services)
    async with _log_or_alert_error(services, "deletion of old audit entries"):
        await delete_old_audit_entries(services)
    await delete_stale_discoveries(services)
    await delete_stale_readings(services)
    await delete_stale_searches(services)
    await restore_wake_ups(services)
    async with _log_or_alert_error(services, "deletion of old remediations"):
        await delete_old_remediations(services)
    async with _log_or_alert_error(services, "deletion of old snapshots"):
        await delete_old_snapshots(services)
    async with catch_row_errors(services, (services.tables.timer_runs.name, "timer", COMPARED)):
        await compare_job_index(services)
    await create_missing_jobs_of_recent_remediations(services)
    environments = await services.environments.list()
    linked = [env for env in environments if env.is_linked]
    undecided = await _read_undecided_environments(services)
    for environment in linked:
        if environment.id in undecided:
            continue
        # One remediation per environment, so that a blocked one does not affect the others.
        async with catch_row_errors(
            services, ("environmentsettings", "environment", environment.id)
        ):
            await start_remediation(
                services,
                Remediation(
                    created_at=services.now,
                    mode=RemediationMode.APPLY,
                    start_source=StartSource.DAILY_CHECK,
                    idempotency_key=f"{date}/{environment.id}",
                    environment_ids=(environment.id,),
                ),
            )
    async with _log_or_alert_error(services, "check of keys"):
        await record_key_checks(services, environments)
    async with _log_or_alert_error(services, "check of the limit of environments"):
        await update_environment_limit_request(services, environments)
    async with _log_or_alert_error(services, "check of address ranges"):
        await record_address_ranges(services, environments)
    async with _log_or_alert_error(services, "check of firewall fixes"):
        await complete_or_report_unfinished_fixes(services)
    async with _log_or_alert_error(services, "check of solution settings"):
        await complete_or_report_unfinished_changes(services)
    async with _log_or_alert_error(services, "check of late invocations"):
        await clean_up_late_invocations(services)
    came_back: list[str] = []
    not_checked_count = 0
    for environment in linked:
        async with _log_or_alert_error(
            services, f"check of retired originals in {environment.display_name}"
        ):
            retired = await report_reactivated_originals(services, environment)
            came_back += retired.on_again
            not_checked_count += retired.not_checked_count
    unblocked = 0
    for environment in linked:
        async with _log_or_alert_error(
            services, f"check of blocked calls in {environment.display_name}"
        ):
            unblocked += await record_blocked_calls(services, environment)
        async with _log_or_alert_error(services, f"check of callers in {environment.display_name}"):
            await record_observed_callers(services, environment)
    for environment in environments:
        async with _log_or_alert_error(
            services, f"check of orphaned copies in {environment.display_name}"
        ):
            not_checked_count += await turn_off_orphaned_copies(services, environment)
    async with _log_or_alert_error(services, "deletion of old plans"):
        await index_trigger_urls_of_plans(services)
        await delete_old_plans(services)
    await delete_unused_results(
        services, {one.id for one in linked}, {one.id for one in environments}
    )
    # A firewall may have been fixed, or a failure may have been an outage that one job alone could
    # not recognize.
    passing = _read_jobs_with_code(
        services, Reason.FIREWALL_DENIES, Reason.FIREWALL_FIX_FAILED, Reason.RETRIES_EXHAUSTED
    )
    result = DailyCheckResult(
        environments=len(linked),
        poison_messages=await services.messages.count(POISON),
        dead_letters={
            queue: await services.messages.count(queue, dead_letters=True) for queue in QUEUES
        },
        retired_originals_on=tuple(came_back),
        not_checked_count=not_checked_count,
        retried=unblocked
        + await _retry_blocked_jobs(services, passing)
        + await _retry_changed_callers(services)
        + await _retry_blocked_jobs(services, _read_jobs_with_changed_channel(services))
        + await _retry_cutovers_with_both_off(services, environments),
    )
    if result.poison_messages or any(result.dead_letters.values()):
        log.error(
            "messages in the poison queue or dead-letter queues",
            extra={
                "poison": result.poison_messages,
                "dead": sum(result.dead_letters.values()),
            },
        )
    for title in came_back:
        log.error("retired original is on", extra={"display_name": title})
    run = TimerRun(timer=SWEEP, completed_at=services.now)
    await services.tables.timer_runs.upsert(run)
    if services.settings.service_account_client_id:
        async with _log_or_alert_error(services, "renewal of the service account's sign-in"):
            await _renew_sign_in(services, run)
    # Last, because it takes the time that is left.
    started_at, first = services.now, services.now.toordinal() % max(len(linked), 1)
    for environment in (*linked[first:], *linked[:first]):
        async with _log_or_alert_error(
            services, f"report of failed runs in {environment.display_name}"
        ):
            await report_failed_runs(services, environment, started_at=started_at)
    return result


async def _renew_sign_in(services: Services, run: TimerRun) -> None:
    try:
        await services.flow_access.renew_sign_in()
    except JobBlocked as err:
        row = services.tables.timer_runs.get_row_name(run)
        code = Reason.SERVICE_ACCOUNT_SIGNED_OUT
        await send_alert(services, code, row, redact(str(err)), redact(err.fix))


async def _read_undecided_environments(services: Services) -> set[str]:
    """Return the ids of environments whose plan of all flows awaits a decision.

    A second plan of the same flows each day would hide the one to decide on.
    """
    table = services.tables.environment_jobs
    return {
        kept.item.environment_id
        for state, facts in ENVIRONMENT_STATES.items()
        if facts.awaits_decision
        async for kept in read_readable(
            services, table.scan(where=[Condition("state", "eq", state)])
        )
        if kept.item.mode is RemediationMode.APPLY and not kept.item.flow_ids
    }


@asynccontextmanager
async def _log_or_alert_error(services: Services, what: str) -> AsyncGenerator[None]:
    """Log an error of the block, or send an alert if it is a bug."""
    try:
        yield
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)
    except CmkflowError as err:
        log.warning("%s failed: %s", what, redact(str(err)))
    except Exception as err:  # noqa: BLE001 -- a bug in one check must not stop the others
        row = (services.tables.timer_runs.name, "timer", SWEEP)
        await send_alert(
            services, Reason.ROW_SKIPPED, row, f"The {what} failed: {format_error_cause(err)}"
        )


async def _retry_blocked_jobs(services: Services, jobs: AsyncIterator[FlowJob]) -> int:
    count = 0
    async for job in jobs:
        if job.needs_action:
            async with _log_or_alert_error(services, f"retry of {job.display_name}"):
                await retry_job(services, job)
                count += 1
    return count


async def _retry_changed_callers(services: Services) -> int:
    """Retry jobs whose manual callers were changed, although nobody has reported that."""
    count = 0
    async for job in _read_jobs_with_code(services, Reason.MANUAL_CALLER):
        async with _log_or_alert_error(
            services, f"check of the manual callers of {job.display_name}"
        ):
            if not await has_manual_caller(services, job):
                await retry_job(services, job)
                count += 1
    return count


async def _read_jobs_with_changed_channel(services: Services) -> AsyncIterator[FlowJob]:
    async for job in _read_jobs_with_code(services, Reason.NOTIFICATION_CHANNEL_USES_FLOW):
        if not find_channels_of_job(services, job):
            yield job


async def _retry_cutovers_with_both_off(
    services: Services, environments: Sequence[Environment]
) -> int:
    """Retry failed cutovers after which both flows are off. They may have read an old state."""
    count, by_id = 0, {environment.id: environment for environment in environments}
    for state in (FlowJobState.BLOCKED, FlowJobState.FAILED):
        where = [Condition("state", "eq", state)]
        async for kept in read_readable(services, services.tables.flow_jobs.scan(where=where)):
            job, environment = kept.item, by_id.get(kept.item.environment_id)
            if environment is None or not job.needs_action or job.both_off_since:
                continue
            async with _log_or_alert_error(services, f"check of {job.display_name} and its copy"):
                if await are_both_off(services, environment, job):
                    log.warning(
                        "original and copy are both off", extra={"display_name": job.display_name}
                    )
                    await retry_job(services, job)
                    count += 1
    return count


async def _read_jobs_with_code(services: Services, *codes: Reason) -> AsyncIterator[FlowJob]:
    for code in codes:
        where = [Condition("reason_code", "eq", code)]
        async for kept in read_readable(services, services.tables.flow_jobs.scan(where=where)):
            yield kept.item
