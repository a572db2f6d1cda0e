"""Cancel, retry and roll back remediations and flow jobs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from shared.domain.jobs.backlog_replay import BacklogReplay, describe_replays, find_replays
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.transitions import move_to_state, resume
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.retries import explain_empty_retry
from shared.errors import JobBlocked, NotFound, UnreadableRow
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.deletion_rows import cancel_deletion_if_allowed, cancel_deletions_if_allowed
from shared.use_cases.read_remediation_rows import (
    RowReader,
    get_remediation,
    read_job_rows,
    select_named_jobs,
)
from shared.use_cases.set_kill_switch import is_kill_switch_on
from shared.use_cases.start_remediation import create_missing_jobs_of_remediation

_ROLLED_BACK = "Cancelled because the job is rolled back."


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What a retry, rollback or cancellation of a remediation affected."""

    flow_count: int
    #: Names of the affected flows or environments.
    flow_names: tuple[str, ...]
    #: True if the kill switch is on, so that nothing is written until it is off.
    kill_switch_on: bool
    #: Rows that this version of the app cannot read; the action does not affect them.
    unreadable_rows: tuple[UnreadableRow, ...]
    #: Why a retry continued nothing, and the fix; empty if it continued something.
    message: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackResult(ActionResult):
    """What a rollback or cancellation of a remediation affected, and its consequences."""

    #: Originals that will process their backlog again, as the request accepts.
    replays: tuple[BacklogReplay, ...]
    #: Names of the environments whose plans are cancelled: they start no more flows.
    cancelled_plans: tuple[str, ...]


async def cancel(
    services: Services, remediation_id: str, *, replay: bool = False
) -> RollbackResult:
    """Cancel a remediation: start no more flow jobs, and roll back the unfinished ones.

    Raises `JobBlocked` and cancels nothing if an original would process its backlog again and
    `replay` is False.
    """
    before = await _list_open_jobs(services, remediation_id, RowReader())
    _require_replay_accepted(services, before, replay=replay)
    reading = RowReader()
    plans = await _cancel_environment_jobs(services, remediation_id, reading)
    unfinished = await _list_open_jobs(services, remediation_id, reading)
    return await _request_rollback(
        services, unfinished, JobCommand.CANCEL, reading, replay=replay, cancelled_plans=plans
    )


async def roll_back(
    services: Services,
    remediation_id: str,
    flow_ids: tuple[str, ...] = (),
    *,
    replay: bool = False,
) -> RollbackResult:
    """Roll back the jobs of these flows and their dependent flows, or of all flows.

    If all are rolled back, no more jobs start. Raises `NotFound` if a named flow has no job. Raises
    `JobBlocked`, and changes nothing, if an original would process its backlog again and `replay`
    is False.
    """
    to_roll_back = await _read_jobs_to_roll_back(services, remediation_id, flow_ids, RowReader())
    _require_replay_accepted(services, to_roll_back, replay=replay)
    reading, plans = RowReader(), list[str]()
    if not flow_ids:
        plans = await _cancel_environment_jobs(services, remediation_id, reading)
    to_roll_back = await _read_jobs_to_roll_back(services, remediation_id, flow_ids, reading)
    return await _request_rollback(
        services, to_roll_back, JobCommand.ROLL_BACK, reading, replay=replay, cancelled_plans=plans
    )


type _JobRow = StoredItem[FlowJob]


async def _list_open_jobs(
    services: Services, remediation_id: str, reading: RowReader
) -> list[_JobRow]:
    rows = await read_job_rows(services, remediation_id, reading)
    return _add_dependent_jobs([row.item for row in rows if not row.item.has_succeeded], rows)


async def _read_jobs_to_roll_back(
    services: Services, remediation_id: str, flow_ids: tuple[str, ...], reading: RowReader
) -> list[_JobRow]:
    rows = await read_job_rows(services, remediation_id, reading)
    return _add_dependent_jobs(
        _require_named_jobs([row.item for row in rows], flow_ids, reading), rows
    )


def _add_dependent_jobs(wanted: Sequence[FlowJob], rows: Sequence[_JobRow]) -> list[_JobRow]:
    ids = {job.id for job in list_dependent_jobs(wanted, [row.item for row in rows])}
    return [row for row in rows if row.item.id in ids]


def _require_named_jobs[T: FlowJob | PlanItem](
    jobs: list[T], flow_ids: tuple[str, ...], reading: RowReader
) -> list[T]:
    """Return the jobs of these flows.

    Raises `UnreadableRow` if a job is missing and a row is unreadable.
    """
    try:
        return select_named_jobs(jobs, flow_ids)
    except NotFound:
        for unreadable in reading.unreadable:
            raise unreadable from None
        raise


def _require_replay_accepted(
    services: Services, rows: Sequence[_JobRow], *, replay: bool
) -> tuple[BacklogReplay, ...]:
    found = find_replays([row.item for row in rows])
    if found and not replay:
        raise JobBlocked(
            describe_replays(found, services.now),
            fix='Repeat the request with "accept_replay": true (--accept-replay) to accept that. '
            "Or roll back only the other flows: name each in `flow_ids` (--flow).",
            code=Reason.BACKLOG_REPLAY,
        )
    return found


async def _cancel_environment_jobs(
    services: Services, remediation_id: str, reading: RowReader
) -> list[str]:
    """Cancel the environment jobs that would start more flow jobs.

    Returns their environments' names. Creates missing environment jobs first, so that an
    interrupted start cannot continue later.
    """

    def with_cancellation(job: EnvironmentJob) -> EnvironmentJob | None:
        if job.can_start_more_flows:
            text = "Cancelled on request."
            return move_to_state(job, EnvironmentJobState.CANCELLED, text, now=services.now)
        return None

    await create_missing_jobs_of_remediation(
        services, await get_remediation(services, remediation_id)
    )
    return [
        job.environment_name or job.environment_id
        for job in await reading.list_readable(
            services.tables.environment_jobs.scan(remediation_id)
        )
        if await _apply_command_to_environment_job(services, job, with_cancellation)
    ]


async def retry(
    services: Services,
    remediation_id: str,
    flow_ids: tuple[str, ...] = (),
    *,
    code: str = "",
    environment_id: str = "",
) -> ActionResult:
    """Retry the blocked and failed jobs of these flows.

    Without `flow_ids`, retries all, including environment jobs. `code` and `environment_id` limit
    the retry to a reason code and an environment. Raises `NotFound` if a named flow has neither a
    job nor a plan item.
    """

    def resume_blocked_job(job: EnvironmentJob) -> EnvironmentJob | None:
        return resume(job, "Retried on request.", now=services.now) if job.needs_action else None

    def is_selected(job: FlowJob | EnvironmentJob) -> bool:
        return code in ("", job.reason_code) and environment_id in ("", job.environment_id)

    titles, reading = list[str](), RowReader()
    rows = await read_job_rows(services, remediation_id, reading)
    every = [row.item for row in rows]
    flows: list[FlowJob | PlanItem] = [
        *every,
        *await _list_items_without_job(services, remediation_id, every),
    ]
    found = _require_named_jobs(flows, flow_ids, reading)
    if flow_ids and any(isinstance(one, PlanItem) and one.action.is_work for one in found):
        for unreadable in reading.unreadable:  # it may be the job of this flow
            raise unreadable
    ids = {one.id for one in found if isinstance(one, FlowJob) and is_selected(one)}
    if not flow_ids:
        for one in await reading.list_readable(
            services.tables.environment_jobs.scan(remediation_id)
        ):
            if is_selected(one) and await _apply_command_to_environment_job(
                services, one, resume_blocked_job
            ):
                titles.append(one.environment_name or one.environment_id)
    # Taking over the lease of a stopped job is safe: the next step revokes its grants.
    retried = await FLOW.apply_command_to_each(
        services,
        [row for row in rows if row.item.id in ids],
        partial(_resume_interrupted_job, now=services.now),
        takes_over=True,
    )
    titles += _list_flow_names(rows, retried)
    why = ("", "") if titles else explain_empty_retry(remediation_id, found, code)
    return ActionResult(
        flow_count=len(titles),
        flow_names=tuple(titles),
        kill_switch_on=await is_kill_switch_on(services),
        unreadable_rows=tuple(reading.unreadable),
        message=why[0],
        fix=why[1],
    )


async def _list_items_without_job(
    services: Services, remediation_id: str, jobs: Sequence[FlowJob]
) -> list[PlanItem]:
    have, reading = {job.original.id for job in jobs}, RowReader()
    return [
        item
        for job in await reading.list_readable(
            services.tables.environment_jobs.scan(remediation_id)
        )
        for item in await reading.list_readable(services.tables.plan_items.scan(job.id))
        if item.workflow_id not in have
    ]


async def retry_job(services: Services, job: FlowJob) -> None:
    """Retry one flow job. If an edit blocked it, the edit is accepted."""
    resumed = partial(_resume_interrupted_job, now=services.now)
    await FLOW.apply_command(services, (job.environment_id, job.id), resumed, takes_over=True)


def _resume_interrupted_job(job: FlowJob, *, now: datetime) -> FlowJob | None:
    if not job.is_interrupted:
        return None
    back = job.step
    if job.reason_code == Reason.ORIGINAL_EDITED:
        job, back = (
            replace(job, original=replace(job.original, digest="")),
            job.state_properties.resume_state_after_edit or back,
        )
    if job.reason_code == Reason.ORIGINAL_AND_COPY_EDITED:
        job = replace(job, copy=replace(job.copy, digest=""))
    return move_to_state(job, back, "Retried on request.", now=now)


def _list_flow_names(rows: Sequence[_JobRow], changed: Sequence[FlowJob]) -> list[str]:
    ids = {job.id for job in changed}
    return [row.item.display_name for row in rows if row.item.id in ids]


async def cancel_job(services: Services, job: FlowJob) -> bool:
    """Cancel one flow job. Returns False if it was already cancelled or rolled back."""
    await cancel_deletion_if_allowed(services, job, _ROLLED_BACK)
    request = _build_command_request(services, JobCommand.CANCEL, replay=False)
    return await FLOW.apply_command(services, (job.environment_id, job.id), request) is not None


def list_dependent_jobs(wanted: Sequence[FlowJob], jobs: Sequence[FlowJob]) -> list[FlowJob]:
    """Return the wanted jobs with all jobs that must be rolled back together with them.

    These are the jobs of their parents and children, and of theirs in turn. If a parent calls by
    URL, only the child's job names the parent, so the relations are followed in both directions.
    """
    linked: dict[str, set[str]] = {job.id: {*job.parent_ids, *job.children} for job in jobs}
    for job in jobs:
        for other in linked[job.id] & linked.keys():
            linked[other].add(job.id)
    found: set[str] = set()
    waiting = [job.id for job in wanted]
    while waiting:
        one = waiting.pop()
        if one in linked and one not in found:
            found.add(one)
            waiting += linked[one]
    return [job for job in jobs if job.id in found]


async def _request_rollback(
    services: Services,
    rows: Sequence[_JobRow],
    command: JobCommand,
    reading: RowReader,
    *,
    replay: bool,
    cancelled_plans: Sequence[str],
) -> RollbackResult:
    replays = _require_replay_accepted(services, rows, replay=replay)
    jobs = [row.item for row in rows]
    left_out = await cancel_deletions_if_allowed(services, jobs, _ROLLED_BACK, reading)
    request = _build_command_request(services, command, replay=replay)
    ours = [row for row in rows if row.item.id not in left_out]
    titles = _list_flow_names(rows, await FLOW.apply_command_to_each(services, ours, request))
    return RollbackResult(
        flow_count=len(titles),
        flow_names=tuple(titles),
        kill_switch_on=await is_kill_switch_on(services),
        replays=replays,
        cancelled_plans=tuple(cancelled_plans),
        unreadable_rows=tuple(reading.unreadable),
    )


def _build_command_request(
    services: Services, command: JobCommand, *, replay: bool
) -> Callable[[FlowJob], FlowJob | None]:
    def with_requested_command(job: FlowJob) -> FlowJob | None:
        if job.is_withdrawn:
            return None
        return replace(
            job,
            requested_command=command,
            accepts_replay=replay,
            next_check_at=services.now,
            # The holder of the lease may be about to store a check that is days away.
            is_woken=job.is_woken or job.lease.is_held(services.now),
        )

    return with_requested_command


async def _apply_command_to_environment_job(
    services: Services,
    job: EnvironmentJob,
    requested: Callable[[EnvironmentJob], EnvironmentJob | None],
) -> bool:
    place = (job.remediation_id, job.id)
    return await ENVIRONMENT.apply_command(services, place, requested, takes_over=True) is not None
