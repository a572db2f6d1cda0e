"""Start a remediation: one row, one row an environment, one message each. Once per cause."""

from datetime import timedelta

from shared.domain.environment import Mode
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import moved
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    environment_job_id,
)
from shared.errors import AlreadyExists, Blocked, NotFound, UnreadableRow
from shared.jobs.kinds import ENVIRONMENT
from shared.notices import one_row, readable
from shared.ports import Condition
from shared.reason import Reason
from shared.rows import instant
from shared.services import Services
from shared.steps.gate import settings_of
from shared.use_cases.name_flows import require_flows

#: So long after a start that died it is completed: the timer comes every minute.
_LATE_START = timedelta(hours=1)


async def order_remediation(services: Services, order: Remediation) -> Remediation:
    """Start what an administrator asks for.

    Raises `NotFound` for an unknown environment, `UnknownFlow`, and `Blocked` where writes are not
    allowed.
    """
    environments = []
    for environment_id in order.environment_ids:
        try:
            environments.append(await services.environments.get(environment_id))
        except NotFound as err:
            message = f"There is no environment {environment_id}, or the app may not see it."
            raise NotFound(message) from err
        settings = await settings_of(services, environment_id)
        if order.mode.writes and settings.mode is Mode.ASSESS:
            raise Blocked(
                f"Environment {environment_id} is in mode assess: nothing may be written there.",
                instruction=f"Opt it in (cmkflow environment set {environment_id} --mode approve), "
                "or ask for mode assess or dry-run.",
                code=Reason.MODE,
            )
    if order.flow_ids and not await services.tables.remediations.get("remediation", order.id):
        await require_flows(services, environments, order.flow_ids)
    return await start_remediation(services, order)


async def start_remediation(services: Services, order: Remediation) -> Remediation:
    """Start it, or return the one that this cause started before."""
    try:
        remediation = (await services.tables.remediations.insert(order)).item
    except AlreadyExists:
        kept = await services.tables.remediations.get("remediation", order.id)
        remediation = kept.item if kept else order
    # Also on a repetition: a process may have died between the row and its messages.
    for environment_id in remediation.environment_ids:
        await _start_environment(services, remediation, environment_id)
    return remediation


async def complete_start(services: Services, remediation: Remediation) -> int:
    """Make the environment jobs that are missing; returns how many that were.

    Whoever started the remediation may have died before the last of them.
    """
    there = {  # also one that this version cannot read
        row.row[2] if isinstance(row, UnreadableRow) else row.item.id
        async for row in services.tables.environment_jobs.scan(remediation.id)
    }
    missing = [
        one
        for one in remediation.environment_ids
        if environment_job_id(remediation.id, one) not in there
    ]
    for environment_id in missing:
        await _start_environment(services, remediation, environment_id)
    return len(missing)


async def complete_starts(services: Services) -> int:
    """Do so for every remediation of the last hour; returns how many jobs were missing."""
    where = [Condition("created", "gt", instant(services.now - _LATE_START))]
    count, table = 0, services.tables.remediations
    async for kept in readable(services, table.scan("remediation", where=where)):
        async with one_row(services, table.name_of(kept.item)):
            count += await complete_start(services, kept.item)
    return count


async def _start_environment(
    services: Services, remediation: Remediation, environment_id: str
) -> None:
    mode = remediation.mode
    settings = await settings_of(services, environment_id)
    if mode.writes and settings.mode is Mode.ASSESS:
        mode = RemediationMode.ASSESS
    job = EnvironmentJob(
        id=environment_job_id(remediation.id, environment_id),
        remediation_id=remediation.id,
        environment_id=environment_id,
        mode=mode,
        flow_ids=remediation.flow_ids,
        reconcile=remediation.reconcile,
    )
    text = f"Started by {remediation.origin}: {remediation.cause}"
    job = moved(job, EnvironmentJobState.WAITING_FOR_MIGRATION, text, now=services.now)
    await ENVIRONMENT.remind(services, job)
    try:
        job = (await services.tables.environment_jobs.insert(job)).item
    except AlreadyExists:
        kept = await services.tables.environment_jobs.get(job.remediation_id, job.id)
        job = kept.item if kept else job
    if not job.is_finished:
        await ENVIRONMENT.send(services, job)
