"""Send the messages of due and overdue rows, and clean up after interrupted invocations."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from shared.alerts import catch_row_errors, delete_settled_alerts, read_readable, send_alert
from shared.domain.jobs.dependent_jobs import parse_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.request_demand import RequestQueueStatus
from shared.errors import Conflict, NotFound
from shared.jobs.due_scan import send_due_messages, wake_up_next_jobs
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.reason import ClearedBy, Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.check_keys import has_key_problem
from shared.use_cases.clean_up_ended_jobs import revoke_leftover_grants
from shared.use_cases.start_remediation import create_missing_jobs

#: After this time an alert is sent; the jobs continue to wait.
LONG_OUTAGE = timedelta(hours=1)
#: After this time without a failure, the app does not know whether an outage continues. The daily
#: check alone may meet it.
_MAX_PAUSE = timedelta(days=2)


async def send_due_and_overdue_messages(services: Services) -> int:
    """Send the messages of due rows, and create missing environment jobs.

    Returns how many rows a crash or a lost message had left behind. A row that is unreadable or
    fails is reported and does not affect others.
    """
    await delete_settled_alerts(services)
    await _alert_outages(services)
    await _alert_request_queue_problems(services, await wake_up_next_jobs(services))
    scanned = await send_due_messages(services)
    for plan in scanned.expiring_plans:
        async with catch_row_errors(
            services, services.tables.environment_jobs.get_row_name(plan.item)
        ):
            await _wake_up_waiting_environment_job(services, plan.item)
    count = scanned.overdue + await create_missing_jobs(services, scanned.unstarted_remediations)
    count += await _wake_up_unblocked_jobs(services, scanned.flows)
    # Last, because it may wait for requests or be denied some.
    await revoke_leftover_grants(services, scanned.expiring_plans, scanned.flows)
    return count


async def _alert_outages(services: Services) -> None:
    """Send an alert about each long outage, because the app may have lost access.

    A circuit breaker is deleted if no request has failed for two days. A problem of a key that
    disables environments has its own alert (check_keys.py).
    """
    table, now = services.tables.circuit_breakers, services.now
    oldest = now - max(_MAX_PAUSE, 2 * services.settings.backoff_max_delay)
    async for kept in read_readable(services, table.scan("circuit_breaker")):
        circuit = kept.item
        if circuit.opened_at and circuit.last_failure_at < oldest:
            with suppress(Conflict, NotFound):
                await table.delete(kept)
            continue
        if circuit.opened_at is None or now - circuit.opened_at <= LONG_OUTAGE:
            continue
        if circuit.reason_code == Reason.ENVIRONMENT_DISABLED and await has_key_problem(services):
            continue
        cause = f"{circuit.service} {circuit.endpoint}: {circuit.message}"
        await send_alert(
            services,
            circuit.reason_code,
            services.tables.circuit_breakers.get_row_name(circuit),
            cause,
        )


async def _alert_request_queue_problems(services: Services, queue: RequestQueueStatus) -> None:
    causes = {
        row: f"The row {'/'.join(row)} was unreadable, so its budget was reset."
        for row in queue.reset
    }
    for row in queue.removed:
        causes[queue.row] = f"The row {'/'.join(row)} was unreadable, so it was deleted."
    for row, cause in causes.items():
        remedy = Reason.REQUEST_BUDGET_RESET.fix
        await send_alert(services, Reason.REQUEST_BUDGET_RESET, row, cause, remedy)
    if queue.next_at and queue.next_at - services.now > LONG_OUTAGE:
        until = f"{queue.next_at:%Y-%m-%d %H:%M} UTC"
        why = "accepts no request" if queue.remaining_today != 0 else "has reached its daily limit"
        cause = f"The flow service {why} until {until}: {queue.waiting} jobs wait."
        await send_alert(services, Reason.THROTTLED, queue.row, cause)


async def _wake_up_waiting_environment_job(services: Services, job: EnvironmentJob) -> None:
    if not job.has_started_flow_jobs or job.awaits_approval or job.lease.is_held(services.now):
        return
    last = job.watched_job_id
    kept = await services.tables.flow_jobs.get(job.environment_id, last) if last else None
    if kept is None or kept.item.is_inactive or kept.item.environment_job_id != job.id:
        await ENVIRONMENT.wake_up(services, (job.remediation_id, job.id))


async def _wake_up_unblocked_jobs(services: Services, jobs: Sequence[StoredItem[FlowJob]]) -> int:
    count, table = 0, services.tables.flow_jobs
    for job in (kept.item for kept in jobs):
        async with catch_row_errors(services, table.get_row_name(job)):
            if job.reason_code in Reason.list_cleared_by(
                ClearedBy.DEPENDENT_FLOW
            ) and await _can_continue(services, job):
                await FLOW.wake_up(
                    services, table.get_address(job), code=job.reason_code, even_blocked=True
                )
                count += 1
    return count


def _needs_report_about_blocked(job: FlowJob, other: FlowJob) -> bool:
    """Return whether a job must report that another, for which it waits, requires an action."""
    return other.needs_action and not (
        job.reason_code == Reason.CHILD_FLOW_NOT_READY and other.is_verified
    )


async def _can_continue(services: Services, job: FlowJob) -> bool:
    related = job.children if job.reason_code == Reason.CHILD_FLOW_NOT_READY else job.parents
    places = [parse_job_reference(name, job.environment_id) for name in related]
    rows = [await services.tables.flow_jobs.get(*place) for place in places]
    jobs = [kept.item for kept in rows if kept]
    if job.state is FlowJobState.WAITING and any(
        _needs_report_about_blocked(job, other) for other in jobs
    ):
        return True
    if job.reason_code == Reason.CHILD_FLOW_NOT_READY:
        if job.is_rolling_back:
            return all(child.has_original_restored for child in jobs)
        return all(child.is_verified for child in jobs)
    if job.is_rolling_back:
        return all(parent.state_properties.is_copy_off for parent in jobs)
    return all(parent.state_properties.releases_children for parent in jobs)
