"""Create the flow jobs of an approved plan and send their messages. A repetition changes nothing.

All rows are stored before the first message is sent, because a job reads the rows of its dependent
flows.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from shared.concurrency import read_each
from shared.domain.callers.caller_records import ExpectedCallerUpdate
from shared.domain.environment import UrlSecretUse
from shared.domain.ids import derive_copy_id, derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_pair import Copy, Original
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.domain.plans.job_index import build_flow_job_index_row
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import AlreadyExists, UnreadableRow
from shared.jobs.job_kinds import FLOW
from shared.jobs.traces import get_trace_for_new_job, start_linked_trace
from shared.ports import Condition
from shared.services import Services

#: A plan with more flows begins a trace for each of them, because a flow has about 50 spans.
_MOST_IN_TRACE = 50


async def start_flow_jobs(services: Services, environment_job: EnvironmentJob) -> list[FlowJob]:
    """Create the rows of the jobs that may start.

    Return the jobs of this remediation. A job that another remediation has started meanwhile is
    omitted, and stays with that remediation.
    """
    work = [
        (item, _build_flow_job(services, environment_job, item))
        for item in await read_planned_work(services, environment_job)
    ]
    if len(work) <= _MOST_IN_TRACE:
        trace = get_trace_for_new_job(services)
        work = [(item, replace(job, trace=trace)) for item, job in work]
    else:
        work = [(item, replace(job, trace=start_linked_trace(services, job))) for item, job in work]
    await FLOW.schedule_wake_up(services, *(job for _, job in work))
    are_new = await read_each([job for _, job in work], partial(_is_new_job, services))
    new = [job for (_, job), is_new in zip(work, are_new, strict=True) if is_new]
    # All names in one write: a write per job would double the writes.
    await services.tables.job_index.upsert(*map(build_flow_job_index_row, new))
    await services.tables.expected_caller_updates.upsert(
        *(
            ExpectedCallerUpdate(
                url_id=job.original.url_id, environment_id=job.environment_id, job_id=job.id
            )
            for _, job in work
            if job.original.has_trigger_url
            and job.migration_method is MigrationMethod.UPDATE_CALLERS
        )
    )
    named = {job.id for job in new}

    async def create_job_row(job: FlowJob) -> FlowJob:
        return await _create_flow_job(services, job, is_named=job.id in named)

    jobs = await read_each([job for _, job in work], create_job_row)
    return [job for job in jobs if job.environment_job_id == environment_job.id]


async def _is_new_job(services: Services, job: FlowJob) -> bool:
    try:
        return await services.tables.flow_jobs.get(job.environment_id, job.id) is None
    except UnreadableRow:  # it only blocks the jobs that depend on it
        return False


async def read_planned_work(services: Services, environment_job: EnvironmentJob) -> list[PlanItem]:
    """Return the items with work that the last approval, if there was one, allows to start."""
    return [
        item
        for item in await services.tables.plan_items.read_all(environment_job.id)
        if item.action.is_work
        and item.approval_number == environment_job.approval_count
        and not item.changed_since_approval
    ]


async def send_job_messages(services: Services, jobs: list[FlowJob]) -> None:
    """Send the message of every job that is due, once.

    The timer sends lost messages again. The messages are sent in the order of the request queue, so
    that each job gets its final place in the queue.
    """

    def get_queue_position(job: FlowJob) -> str:
        demand = FLOW.request_demand(job)
        return demand.queue_position if demand else ""

    await FLOW.send_messages(services, *sorted(jobs, key=get_queue_position))


async def list_open_jobs(services: Services, environment_job: EnvironmentJob) -> list[FlowJob]:
    """Return those flow jobs of an environment job that continue without a person."""
    where = [Condition("environment_job_id", "eq", environment_job.id)]
    jobs = await services.tables.flow_jobs.read_all(environment_job.environment_id, where=where)
    return [job for job in jobs if not job.is_inactive]


async def _create_flow_job(services: Services, planned: FlowJob, *, is_named: bool) -> FlowJob:
    if is_named:
        with suppress(AlreadyExists):
            return (await services.tables.flow_jobs.insert(planned, is_indexed=True)).item
    current = planned

    def create_or_plan_again(job: FlowJob | None) -> FlowJob | None:
        nonlocal current
        current = job or planned
        return _plan_again(job, planned, now=services.now) if job else planned

    kept = await services.tables.flow_jobs.change(
        planned.environment_id, planned.id, create_or_plan_again
    )
    return kept.item if kept else current


def _plan_again(job: FlowJob, planned: FlowJob, *, now: datetime) -> FlowJob | None:
    """Return a withdrawn job as this remediation plans it again, or None to leave it as it is."""
    if job.environment_job_id == planned.environment_job_id or not job.allows_new_job:
        return None
    again = replace(
        planned,
        message_number=job.message_number + 1,
        history=job.history,
        fencing_token=job.fencing_token + 1,
        copy=replace(planned.copy, is_kept_off=job.copy.is_kept_off),
    )
    return move_to_state(again, FlowJobState.PLANNED, "Planned again.", now=now)


def _build_flow_job(services: Services, environment_job: EnvironmentJob, item: PlanItem) -> FlowJob:
    environment, policy = environment_job.environment_id, environment_job.policy_id
    identity = {"environment_id": environment, "policy_id": policy}
    job = FlowJob(
        id=derive_flow_job_id(environment, item.workflow_id, policy),
        environment_id=environment,
        policy_id=policy,
        remediation_id=environment_job.remediation_id,
        environment_job_id=environment_job.id,
        original=Original(
            id=item.workflow_id,
            flow_name=item.flow_name,
            owner=item.owner,
            category=item.category,
            trigger_name=item.trigger_name,
            has_trigger_url=item.has_trigger_url,
            in_solution=item.in_solution,
            digest=item.digest,
            http_hosts=item.http_hosts,
            url_id=item.trigger_url_id,
        ),
        display_name=item.display_name,
        migration_method=item.migration_method,
        children=tuple(
            derive_flow_job_id(original_id=child, **identity) for child in item.children
        ),
        parents=tuple(
            derive_flow_job_id(original_id=parent, **identity) for parent in item.parents
        ),
        copy=Copy(id=derive_copy_id(environment, item.workflow_id, policy)),
        conversions=item.possible_conversions,
        url_secret=item.url_secret,
        has_url_secret_in_app_configuration=(
            item.url_secret_use is UrlSecretUse.WITH_APP_CONFIGURATION
        ),
        is_url_secret_chosen=item.workflow_id in environment_job.url_secret_choices,
    )
    return move_to_state(job, FlowJobState.PLANNED, item.message, now=services.now)
