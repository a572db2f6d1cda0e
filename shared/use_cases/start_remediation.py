"""Start a remediation once for each idempotency key.

Stores its row and the row of each environment, and sends a message for each environment.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from shared.alerts import catch_row_errors, read_readable
from shared.domain.environment import ApprovalPolicy, Environment
from shared.domain.ids import NAMESPACE
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import move_to_state
from shared.domain.plans.display_text import describe_start
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    StartSource,
    build_environment_job_id,
)
from shared.errors import AlreadyExists, JobBlocked, NotFound, UnreadableRow
from shared.jobs.job_kinds import ENVIRONMENT
from shared.jobs.traces import get_trace_for_new_job
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import format_sortable_time
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.name_flows import require_workflow_ids

_RECENT = timedelta(days=2)
#: Seconds.
_FORM_REPEATED_WITHIN = 3600
#: Without an approval, flow jobs may start before a second click.
_SECOND_CLICK_WITHIN = timedelta(seconds=30)
_FIRST = EnvironmentJobState.WAITING_FOR_PLATFORM_MIGRATION


async def start_manual_remediation(services: Services, request: Remediation) -> Remediation:
    """Start a remediation that a person requests.

    Raises `NotFound` for an unknown environment, `FlowNotFound` for an unknown flow, and
    `JobBlocked` if the mode writes and an environment is read-only.
    """
    environments = []
    for environment_id in request.environment_ids:
        try:
            environments.append(await services.environments.get(environment_id))
        except NotFound as err:
            message = f"No environment {environment_id}, or the app has no access to it."
            raise NotFound(message) from err
        settings = await read_environment_settings(services, environment_id)
        if request.mode.writes and settings.approval_policy is ApprovalPolicy.READ_ONLY:
            raise JobBlocked(
                f"Environment {environment_id} has approval policy read_only. The app may not "
                "change it.",
                fix=f"Permit changes (cmkflow environment set {environment_id} "
                "--approval-policy required), or use mode assess or dry_run.",
                code=Reason.ENVIRONMENT_READ_ONLY,
            )
    if request.flow_ids and not await services.tables.remediations.get("remediation", request.id):
        ids = await _read_workflow_ids(services, environments, request.flow_ids)
        request = replace(request, flow_ids=ids)
    return await start_remediation(services, request)


async def choose_form_idempotency_key(services: Services, beginning: str, sent: str) -> str:
    """Return the idempotency key for a form that a person sent.

    The same form gets the same key for at least an hour, so that a second click or tab leads to the
    same remediation. Once that remediation is decided, the form gets another key. `beginning` is
    the beginning of the key. `sent` contains the sender and the content of the form.
    """
    period, ended = int(services.now.timestamp()) // _FORM_REPEATED_WITHIN, ""
    while True:
        for one in (period - 1, period):
            key = f"{beginning} {uuid.uuid5(NAMESPACE, f'{sent} {one}{ended}')}"
            known = Remediation.derive_id_for(StartSource.API_REQUEST, key)
            if kept := await services.tables.remediations.get("remediation", known):
                is_recent = services.now - kept.item.created_at < _SECOND_CLICK_WITHIN
                if not await _has_been_decided(services, known, must_be_over=is_recent):
                    return key
                ended = f" after {known}"
                break
        else:
            return key


async def _has_been_decided(services: Services, remediation_id: str, *, must_be_over: bool) -> bool:
    """Return whether each environment job of a remediation is over or has started its flow jobs.

    With `must_be_over`, each job must be over. False if there is no job.
    """
    jobs = [row async for row in services.tables.environment_jobs.scan(remediation_id)]
    return bool(jobs) and all(
        not isinstance(row, UnreadableRow)
        and (
            row.item.state_properties.is_over
            or (row.item.has_started_flow_jobs and not must_be_over)
        )
        for row in jobs
    )


async def resolve_workflow_ids(
    services: Services, environment_ids: Sequence[str], flows: Sequence[str]
) -> tuple[str, ...]:
    """Return the workflow ids of flows given by id or name.

    Raises `FlowNotFound` for an unknown flow and for a name that several have.
    """
    environments = [await services.environments.get(one) for one in environment_ids]
    return await _read_workflow_ids(services, environments, flows)


async def _read_workflow_ids(
    services: Services, environments: Sequence[Environment], flows: Sequence[str]
) -> tuple[str, ...]:
    ids = await require_workflow_ids(services, environments, flows)
    return tuple(dict.fromkeys(ids[one] for one in flows))


async def start_remediation(services: Services, request: Remediation) -> Remediation:
    """Start a remediation, or return the one that has the same idempotency key.

    After a crash, wake-ups create the environment jobs that are missing.
    """
    await ENVIRONMENT.schedule_wake_up(
        services, *(_build_environment_job(request, one) for one in request.environment_ids)
    )
    try:
        remediation = (await services.tables.remediations.insert(request)).item
    except AlreadyExists:
        kept = await services.tables.remediations.get("remediation", request.id)
        remediation = kept.item if kept else request
    # Also if it exists: the process may have crashed between the row and its messages.
    for environment_id in remediation.environment_ids:
        await _start_environment_job(services, remediation, environment_id)
    return remediation


async def create_missing_jobs_of_remediation(services: Services, remediation: Remediation) -> int:
    """Create the missing environment jobs of a remediation, and return their number."""
    there = {  # includes rows that this version cannot read
        row.row[2] if isinstance(row, UnreadableRow) else row.item.id
        async for row in services.tables.environment_jobs.scan(remediation.id)
    }
    missing = [
        one
        for one in remediation.environment_ids
        if build_environment_job_id(remediation.id, one) not in there
    ]
    await ENVIRONMENT.schedule_wake_up(
        services, *(_build_environment_job(remediation, one) for one in missing)
    )
    for environment_id in missing:
        await _start_environment_job(services, remediation, environment_id)
    return len(missing)


async def create_missing_jobs(services: Services, remediation_ids: Iterable[str]) -> int:
    """Create the missing environment jobs of these remediations, and return their number."""
    count, table = 0, services.tables.remediations
    for remediation_id in remediation_ids:
        async with catch_row_errors(services, (table.name, "remediation", remediation_id)):
            if kept := await table.get("remediation", remediation_id):
                count += await create_missing_jobs_of_remediation(services, kept.item)
    return count


async def create_missing_jobs_of_recent_remediations(services: Services) -> None:
    """Create the missing environment jobs of remediations of the last days."""
    where = [Condition("created_at", "gt", format_sortable_time(services.now - _RECENT))]
    table = services.tables.remediations
    async for kept in read_readable(services, table.scan("remediation", where=where)):
        async with catch_row_errors(services, table.get_row_name(kept.item)):
            await create_missing_jobs_of_remediation(services, kept.item)


def _build_environment_job(remediation: Remediation, environment_id: str) -> EnvironmentJob:
    return EnvironmentJob(
        id=build_environment_job_id(remediation.id, environment_id),
        remediation_id=remediation.id,
        environment_id=environment_id,
        mode=remediation.mode,
        flow_ids=remediation.flow_ids,
        compare_all_flows=remediation.compare_all_flows,
        assessment=remediation.assessment,
        state=_FIRST if remediation.assessment is None else EnvironmentJobState.ASSESSING,
    )


async def _start_environment_job(
    services: Services, remediation: Remediation, environment_id: str
) -> None:
    job = _build_environment_job(remediation, environment_id)
    settings = await read_environment_settings(services, environment_id)
    trace = get_trace_for_new_job(services)
    job = replace(job, environment_name=settings.display_name, trace=trace)
    if job.mode.writes and settings.approval_policy is ApprovalPolicy.READ_ONLY:
        job = replace(job, mode=RemediationMode.ASSESS)
    who = describe_start(remediation.start_source, remediation.started_by)
    text = f"Started by {who}."
    job = move_to_state(job, job.state, text, now=services.now)
    try:
        job = (await services.tables.environment_jobs.insert(job)).item
    except AlreadyExists:
        kept = await services.tables.environment_jobs.get(job.remediation_id, job.id)
        job = kept.item if kept else job
    if not job.is_inactive:
        await ENVIRONMENT.send_messages(services, job)
