"""What an administrator decides about remediations and jobs: cancel, retry, roll back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.domain.jobs.backlog_replay import BacklogReplay, describe_replays, find_replays
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, JobCommand
from shared.domain.jobs.transitions import move_to_state, resume
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.plans.retries import nothing_to_retry
from shared.errors import JobBlocked, NotFound, UnreadableRow
from shared.jobs.job_kinds import ENVIRONMENT, FLOW
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.deletion_rows import cancel_if_allowed
from shared.use_cases.read_remediation_rows import RowReader, find, jobs_of, named_jobs
from shared.use_cases.set_kill_switch import is_switch_on
from shared.use_cases.start_remediation import complete_start


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """What an order set going."""

    jobs: int
    #: What they are called.
    flow_names: tuple[str, ...]
    #: Nothing of it moves until that is off.
    kill_switch_on: bool
    #: Rows that this version of the app cannot read: nothing was ordered of them.
    unreadable: tuple[UnreadableRow, ...]
    #: Why a retry continued nothing, and what a person has to do. Empty: it continued something.
    reason: str = ""
    instruction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackResult(ActionResult):
    """What an order to undo set going."""

    #: Originals that will replay their backlog, as the order accepts.
    replays: tuple[BacklogReplay, ...]


async def cancel(
    services: Services, remediation_id: str, *, replay: bool = False
) -> RollbackResult:
    """Cancel what has not been done: jobs that began are rolled back.

    Raises `JobBlocked`, and cancels nothing, if an original would replay its backlog and `replay`
    does not accept that.
    """
    _check_replay(services, await _unfinished(services, remediation_id, RowReader()), replay=replay)
    reading = RowReader()
    await _begin_no_more(services, remediation_id, reading)
    unfinished = await _unfinished(services, remediation_id, reading)
    return await _undo(services, unfinished, JobCommand.CANCEL, reading, replay=replay)


async def roll_back(
    services: Services,
    remediation_id: str,
    flow_ids: tuple[str, ...] = (),
    *,
    replay: bool = False,
) -> RollbackResult:
    """Undo the jobs of these flows and their families (none named: all).

    Where none is named, nothing more begins either. Raises `NotFound` if a flow that is named has
    no job here; `JobBlocked`, and undoes nothing, if an original would replay its backlog and
    `replay` does not accept that.
    """
    family = await _family(services, remediation_id, flow_ids, RowReader())
    _check_replay(services, family, replay=replay)
    reading = RowReader()
    if not flow_ids:
        await _begin_no_more(services, remediation_id, reading)
    family = await _family(services, remediation_id, flow_ids, reading)
    return await _undo(services, family, JobCommand.ROLL_BACK, reading, replay=replay)


async def _unfinished(services: Services, remediation_id: str, reading: RowReader) -> list[FlowJob]:
    jobs = await jobs_of(services, remediation_id, reading)
    return dependent_groups([job for job in jobs if not job.has_succeeded], jobs)


async def _family(
    services: Services, remediation_id: str, flow_ids: tuple[str, ...], reading: RowReader
) -> list[FlowJob]:
    jobs = await jobs_of(services, remediation_id, reading)
    return dependent_groups(_named(jobs, flow_ids, reading), jobs)


def _named[T: FlowJob | PlanItem](
    jobs: list[T], flow_ids: tuple[str, ...], reading: RowReader
) -> list[T]:
    """Return the jobs of these flows; raises `UnreadableRow` if a missing one may be that."""
    try:
        return named_jobs(jobs, flow_ids)
    except NotFound:
        for unreadable in reading.unreadable:
            raise unreadable from None
        raise


def _check_replay(
    services: Services, jobs: list[FlowJob], *, replay: bool
) -> tuple[BacklogReplay, ...]:
    found = find_replays(jobs)
    if found and not replay:
        raise JobBlocked(
            describe_replays(found, services.now),
            instruction='Order it again with "replay": true (--accept-replay) to accept that, or'
            " leave these flows out.",
            code=Reason.BACKLOG_REPLAY,
        )
    return found


async def _begin_no_more(services: Services, remediation_id: str, reading: RowReader) -> None:
    """Cancel the environment jobs of which something has not been dispatched.

    Those that are still missing are made before, so that no start goes on afterwards.
    """

    def cancelled(job: EnvironmentJob) -> EnvironmentJob | None:
        if job.can_start_more_flows:
            text = "Cancelled by order."
            return move_to_state(job, EnvironmentJobState.CANCELLED, text, now=services.now)
        return None

    await complete_start(services, await find(services, remediation_id))
    for job in await reading.all(services.tables.environment_jobs.scan(remediation_id)):
        await _change(services, job, cancelled)


async def retry(
    services: Services,
    remediation_id: str,
    flow_ids: tuple[str, ...] = (),
    *,
    code: str = "",
    environment_id: str = "",
) -> ActionResult:
    """Go on with blocked and failed jobs (none named: all), and environment jobs likewise.

    `code` and `environment_id` narrow it to what has this code, and to one environment. Raises
    `NotFound` if a flow that is named has neither a job nor an item of the plan here.
    """

    def retried_anew(job: EnvironmentJob) -> EnvironmentJob | None:
        return resume(job, "Retried by order.", now=services.now) if job.needs_action else None

    def is_meant(job: FlowJob | EnvironmentJob) -> bool:
        return code in ("", job.code) and environment_id in ("", job.environment_id)

    titles, reading = list[str](), RowReader()
    every = await jobs_of(services, remediation_id, reading)
    flows: list[FlowJob | PlanItem] = [
        *every,
        *await _without_job(services, remediation_id, every),
    ]
    found = _named(flows, flow_ids, reading)
    if flow_ids and any(isinstance(one, PlanItem) and one.action.has_job for one in found):
        for unreadable in reading.unreadable:  # it may be the job of this flow
            raise unreadable
    jobs = [one for one in found if isinstance(one, FlowJob)]
    if not flow_ids:
        for one in await reading.all(services.tables.environment_jobs.scan(remediation_id)):
            if is_meant(one) and await _change(services, one, retried_anew):
                titles.append(one.environment_name or one.environment_id)
    for job in jobs:
        if job.is_interrupted and is_meant(job):
            await retry_job(services, job)
            titles.append(job.display_name)
    why = ("", "") if titles else nothing_to_retry(remediation_id, found, code)
    return ActionResult(
        jobs=len(titles),
        flow_names=tuple(titles),
        kill_switch_on=await is_switch_on(services),
        unreadable=tuple(reading.unreadable),
        reason=why[0],
        instruction=why[1],
    )


async def _without_job(
    services: Services, remediation_id: str, jobs: Sequence[FlowJob]
) -> list[PlanItem]:
    """Return what a remediation's plans say of flows that have no job in it."""
    have, reading = {job.original_id for job in jobs}, RowReader()
    return [
        item
        for job in await reading.all(services.tables.environment_jobs.scan(remediation_id))
        for item in await reading.all(services.tables.plan_items.scan(job.id))
        if item.workflow_id not in have
    ]


async def retry_job(services: Services, job: FlowJob) -> None:
    """Go on with one job. An edit that blocked it is accepted: the original is copied as it is."""

    def anew(job: FlowJob) -> FlowJob | None:
        if not job.is_interrupted:
            return None
        back = job.reached
        if job.code == Reason.ORIGINAL_EDITED:
            job, back = (
                replace(job, original_digest=""),
                job.state_properties.resume_state_after_edit or back,
            )
        if job.code == Reason.ORIGINAL_AND_COPY_EDITED:
            job = replace(job, copy_digest="")
        return move_to_state(job, back, "Retried by order.", now=services.now)

    # Whoever holds the row of a job that stands still returns its loans, as the next step would.
    await FLOW.order(services, (job.environment_id, job.id), anew, takes_over=True)


async def cancel_job(services: Services, job: FlowJob) -> bool:
    """Cancel one job; says whether it was not undone before."""
    return await _order_one(services, job, JobCommand.CANCEL, replay=False)


def dependent_groups(wanted: Sequence[FlowJob], jobs: Sequence[FlowJob]) -> list[FlowJob]:
    """Return who goes back with these: originals run originals, copies run copies.

    A parent that calls by URL is known to the child only: the calls are followed both ways.
    """
    relatives: dict[str, set[str]] = {job.id: {*job.parent_ids, *job.children} for job in jobs}
    for job in jobs:
        for other in relatives[job.id] & relatives.keys():
            relatives[other].add(job.id)
    found: set[str] = set()
    waiting = [job.id for job in wanted]
    while waiting:
        one = waiting.pop()
        if one in relatives and one not in found:
            found.add(one)
            waiting += relatives[one]
    return [job for job in jobs if job.id in found]


async def _undo(
    services: Services, jobs: list[FlowJob], order: JobCommand, reading: RowReader, *, replay: bool
) -> RollbackResult:
    replays = _check_replay(services, jobs, replay=replay)
    titles = []
    for job in jobs:
        with reading.one():  # the row of its deletion may be one that cannot be read
            if await _order_one(services, job, order, replay=replay):
                titles.append(job.display_name)
    return RollbackResult(
        jobs=len(titles),
        flow_names=tuple(titles),
        kill_switch_on=await is_switch_on(services),
        replays=replays,
        unreadable=tuple(reading.unreadable),
    )


async def _order_one(services: Services, job: FlowJob, order: JobCommand, *, replay: bool) -> bool:
    def ordered(job: FlowJob) -> FlowJob | None:
        if job.is_withdrawn:
            return None
        return replace(
            job,
            requested=order,
            accepts_replay=replay,
            due=services.now,
            # Whoever holds the row may be about to set a time that is days away.
            is_woken=job.is_woken or job.is_leased(services.now),
        )

    await cancel_if_allowed(services, job, "Cancelled: the job is rolled back.")
    return await FLOW.order(services, (job.environment_id, job.id), ordered) is not None


async def _change(
    services: Services,
    job: EnvironmentJob,
    ordered: Callable[[EnvironmentJob], EnvironmentJob | None],
) -> bool:
    """Write what an order makes of an environment job; says whether it was changed."""
    place = (job.remediation_id, job.id)
    return await ENVIRONMENT.order(services, place, ordered, takes_over=True) is not None
