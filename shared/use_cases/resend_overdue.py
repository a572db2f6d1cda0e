"""Send the message of every row that is due soon, and of those that should have moved."""

from collections.abc import Sequence
from datetime import timedelta

from shared.alerts import forget_settled, one_row, tell
from shared.circuit_breakers import open_circuits
from shared.domain.jobs.dependent_jobs import parse_job_reference
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.request_demand import RequestQueueStatus
from shared.jobs.due_scan import promote_waiters, send_due_messages
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.reason import ClearedBy, Reason
from shared.rows import StoredItem
from shared.services import Services
from shared.use_cases.clean_up_ended_jobs import revoke_leftover_grants
from shared.use_cases.start_remediation import create_missing_jobs

#: From then on people are told. The jobs go on waiting.
LONG_OUTAGE = timedelta(hours=1)


async def resend_overdue(services: Services) -> int:
    """Announce rows that are due, and make those that are missing.

    Returns how many were overdue or missing: a process died, a message was lost. A row that cannot
    be read or worked on is told of, and holds up no other.
    """
    await forget_settled(services)
    await _tell_of_outages(services)
    await _tell_of_line(services, await promote_waiters(services))
    looked = await send_due_messages(services)
    for plan in looked.expiring_plans:
        async with one_row(services, services.tables.environment_jobs.name_of(plan.item)):
            await _wake_idle(services, plan.item)
    count = looked.overdue + await create_missing_jobs(services, looked.unstarted_remediations)
    count += await _wake_settled(services, looked.flows)
    await revoke_leftover_grants(
        services, looked.expiring_plans, looked.flows
    )  # last: it may wait for calls, or be refused some
    return count


async def _tell_of_outages(services: Services) -> None:
    """A service that is out for long may be one that the app is not let in to any more."""
    for circuit in await open_circuits(services.tables):
        if circuit.opened and services.now - circuit.opened > LONG_OUTAGE:
            cause = f"{circuit.service} {circuit.place}: {circuit.reason}"
            await tell(
                services,
                Reason.SERVICE_OUTAGE,
                services.tables.circuit_breakers.name_of(circuit),
                cause,
            )


async def _tell_of_line(services: Services, line: RequestQueueStatus) -> None:
    """Jobs that wait for calls are not late, however long a service takes none."""
    causes = {
        row: f"The row {'/'.join(row)} could not be read: its budget was reset."
        for row in line.reset
    }
    for row in line.removed:
        causes[line.row] = f"The row {'/'.join(row)} could not be read: it was removed."
    for row, cause in causes.items():
        remedy = Reason.REQUEST_BUDGET_RESET.instruction
        await tell(services, Reason.REQUEST_BUDGET_RESET, row, cause, remedy)
    if line.next_at and line.next_at - services.now > LONG_OUTAGE:
        until = f"{line.next_at:%Y-%m-%d %H:%M} UTC"
        why = "takes no call" if line.remaining_today != 0 else "has had its calls of 24 hours,"
        cause = f"The flow service {why} until {until}: {line.waiting} jobs wait."
        await tell(services, Reason.THROTTLED, line.row, cause)


async def _wake_idle(services: Services, job: EnvironmentJob) -> None:
    """Wake one whose flow jobs may all have ended: the one that it waits for has."""
    if not job.has_started_flow_jobs or job.awaits_approval or job.is_leased(services.now):
        return
    last = job.watched_job_id
    kept = await services.tables.flow_jobs.get(job.environment_id, last) if last else None
    if kept is None or kept.item.is_inactive or kept.item.environment_job_id != job.id:
        await ENVIRONMENT.wake_up(services, (job.remediation_id, job.id))


async def _wake_settled(services: Services, jobs: Sequence[StoredItem[FlowJob]]) -> int:
    count, table = 0, services.tables.flow_jobs
    for job in (kept.item for kept in jobs):
        async with one_row(services, table.name_of(job)):
            if job.code in Reason.all_cleared_by(ClearedBy.DEPENDENT_FLOW) and await _is_settled(
                services, job
            ):
                await FLOW.wake_up(services, table.address(job), code=job.code, even_blocked=True)
                count += 1
    return count


def _is_stuck(job: FlowJob, other: FlowJob) -> bool:
    """Say whether a job waits for one that does not go on by itself: it has to be told so."""
    return other.needs_action and not (
        job.code == Reason.CHILD_FLOW_NOT_READY and other.is_verified
    )


async def _is_settled(services: Services, job: FlowJob) -> bool:
    related = job.children if job.code == Reason.CHILD_FLOW_NOT_READY else job.parents
    places = [parse_job_reference(name, job.environment_id) for name in related]
    rows = [await services.tables.flow_jobs.get(*place) for place in places]
    jobs = [kept.item for kept in rows if kept]
    if job.state is FlowJobState.WAITING and any(_is_stuck(job, other) for other in jobs):
        return True
    if job.code == Reason.CHILD_FLOW_NOT_READY:
        if job.is_rolling_back:
            return all(child.has_original_restored for child in jobs)
        return all(child.is_verified for child in jobs)
    if job.is_rolling_back:
        return all(parent.state_properties.is_copy_off for parent in jobs)
    return all(parent.state_properties.releases_children for parent in jobs)
