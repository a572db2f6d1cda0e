"""Wait until the original receives no calls. Only then may it be retired."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from shared.alerts import alert_unreadable_row
from shared.domain.callers.caller import build_flow_caller
from shared.domain.callers.caller_records import CallerRecord, CallerState
from shared.domain.durations import format_duration
from shared.domain.flow import RUN_HISTORY, FlowRun
from shared.domain.ids import hash_key
from shared.domain.jobs.dependent_jobs import find_blocking_parent
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    JobBlocked,
    MustWait,
    NotFound,
    PlatformError,
    TransientError,
    UnreadableRow,
)
from shared.logs.fields import get_product_log
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.flow_names import read_flow_name
from shared.steps.flows.lease_resource import lease_resource
from shared.steps.flows.observed_callers import (
    compute_start_of_late_calls,
    read_and_store_new_calls,
    read_named_callers,
)
from shared.steps.flows.runs_in_progress import require_no_run_in_progress
from shared.steps.retiring.wait_for_job import wait_for_end_of_job
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.caller_edit_log import CallerEditLog
from shared.steps.updating_callers.record_callers import holds_original
from shared.steps.updating_callers.update_callers import read_new_urls
from shared.steps.updating_callers.write_callers import CallerWriter, write_callers

log = get_product_log(__name__)

#: Most callers that the message of a late caller names.
_MOST_NAMED = 3


async def wait_for_no_calls(work: StepContext) -> None:
    """Raise `MustWait` while the original is called or may be called.

    Waits for the no-call period, for the jobs of parents, and for runs of callers that began before
    their change. Raises `JobBlocked` if the job of a parent is blocked, failed or cancelled.
    """
    if work.job.migration_method is not MigrationMethod.COPY_OFF:
        await _update_parent_copies(work)
        await _wait_for_no_call_period(work)
    await _wait_for_parents(work)
    await _wait_for_runs_of_callers(work)


async def _wait_for_no_call_period(work: StepContext) -> None:
    job, services = work.job, work.services
    since = services.now - RUN_HISTORY
    read = await services.flow_reports.read_runs(
        job.environment_id, job.original.flow_name, since=since
    )
    runs = [run for run in read if run.is_answered_call]
    cut_over = job.observation.started_at or services.now
    period = max(
        job.observation.extend_period(services.settings.no_call_period),
        2 * find_longest_pause([run for run in runs if run.started_at < cut_over]),
    )
    called_at = max([cut_over, *(run.started_at for run in runs)])
    last = max(called_at, await _read_last_disabled_at(services, job) or called_at)
    if last + period > services.now:
        late = [run for run in runs if run.started_at > cut_over]
        called = f"{len(late)} times" if len(late) > 1 else "once"
        rule = f"must receive no calls for {format_duration(period)}."
        is_late = called_at > compute_start_of_late_calls(services, job, cut_over)
        who = await _describe_callers(services, job) if is_late else ""
        raise MustWait(
            f"The original was called {called} since its callers were updated. {who}It {rule}"
            if late
            else f"The original {rule}",
            until=last + period,
            code=Reason.LATE_CALLER if is_late else Reason.NO_CALL_PERIOD,
            fix=("Give the caller the copy's URL." if who else Reason.LATE_CALLER.fix)
            if is_late
            else "",
        )
    require_no_run_in_progress(services, runs, "A run of the original is in progress.")


async def _read_last_disabled_at(services: Services, job: FlowJob) -> datetime | None:
    """Return when the environment was last seen disabled, because no call could arrive
    until then.
    """
    kept = await services.tables.policy_links.get("link", job.environment_id)
    return kept.item.last_disabled_at if kept else None


async def _describe_callers(services: Services, job: FlowJob) -> str:
    row = None
    try:
        row = await read_and_store_new_calls(services, job)
    except UnreadableRow as err:
        await alert_unreadable_row(services, err)
    except (TransientError, NotFound, PlatformError) as err:
        log.warning("callers of %s cannot be read: %s", job.display_name, redact(str(err)))
        kept = await services.tables.observed_callers.get(job.environment_id, job.id)
        row = kept.item if kept else None
    if row is None:
        return ""
    named = await read_named_callers(services, job, row)
    return "".join(f"{one.text}. " for one in named[:_MOST_NAMED])


async def _wait_for_parents(work: StepContext) -> None:
    parent = find_blocking_parent(
        work.job,
        await work.read_ancestors(),
        lambda parent: parent.state_properties.releases_children,
    )
    if parent is None:
        return
    if parent.is_inactive:
        raise JobBlocked(
            f"{parent.display_name} still calls this original and is {parent.state}.",
            fix=f"Fix the job of {parent.display_name}. This job then continues.",
            code=Reason.PARENT_FLOW_NOT_READY,
        )
    await wait_for_end_of_job(work, parent, f"{parent.display_name} has to be retired first.")


async def _update_parent_copies(work: StepContext) -> None:
    """Write this copy's URL into the copies of parents that were made before the original's URL was
    known.
    """
    job = work.job
    if not job.original.url_id:
        return
    for parent in await work.read_related_jobs(job.parents):
        if not parent.is_verified:  # an unverified copy must stay as it was created
            continue
        caller = build_flow_caller(
            parent.environment_id, parent.copy.id, f"copy of {parent.display_name}"
        )
        if await holds_original(work.services, job, caller):
            identity = hash_key(caller.kind, caller.address)
            kept = await work.services.tables.callers.get(job.id, identity)
            record = kept.item if kept else CallerRecord(job_id=job.id, id=identity, caller=caller)
            log, urls = await CallerEditLog.open(work), await read_new_urls(work)
            async with lease_resource(work, caller.resource_id) as resource:
                mover = CallerWriter(work=work, log=log, urls=urls, records=[record])
                await write_callers(resource, mover)


async def _wait_for_runs_of_callers(work: StepContext) -> None:
    """Raise `MustWait` while runs from before their flow's change may still call the original."""
    now = work.services.now
    began_by = work.job.observation.started_at or now
    parents = [
        CallingFlow(
            id=one.id,
            environment_id=one.environment_id,
            flow_name=one.original.flow_name,
            # Its original ran this original until it was turned off, whatever happened to other
            # callers.
            began_by=now if one.state is FlowJobState.RETIRED else began_by,
        )
        for one in await work.read_related_jobs(work.job.parents)
    ]
    await wait_for_runs(
        work, [*parents, *await read_recorded_calling_flows(work, CallerState.UPDATED)]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingFlow:
    """A flow that called the original or the copy. Its runs that began by `began_by` may still call
    that flow.
    """

    id: str
    environment_id: str
    #: Empty: to be found by the id, which is a workflow id.
    flow_name: str = ""
    began_by: datetime


async def read_recorded_calling_flows(work: StepContext, state: CallerState) -> list[CallingFlow]:
    """Return the recorded callers in this state that are flows."""
    job = work.job
    return [
        CallingFlow(
            id=record.caller.workflow_id,
            environment_id=record.caller.environment_id or job.environment_id,
            began_by=job.observation.started_at or work.services.now,
        )
        for record in await work.services.tables.callers.read_all(job.id)
        if record.state is state and record.caller.workflow_id
    ]


async def wait_for_runs(work: StepContext, flows: Iterable[CallingFlow]) -> None:
    """Raise `MustWait` while a run of one of these flows is in progress.

    Only runs that began by the flow's `began_by` count. A flow without such a run never has one
    again, so the job's row records the flow.
    """
    services, observation = work.services, work.job.observation
    for flow in sorted(flows, key=lambda one: one.id):
        if flow.id in observation.drained_callers:
            continue
        home = flow.environment_id
        name = flow.flow_name or await read_flow_name(services, home, flow.id)
        if name:
            runs = await _read_runs_from_before(services, replace(flow, flow_name=name))
            reason = "A run of a caller that started before its change is in progress."
            require_no_run_in_progress(services, runs, reason)
        drained = (*observation.drained_callers, flow.id)
        observation = replace(observation, drained_callers=drained)
        work.stage(replace(work.job, observation=observation))


async def _read_runs_from_before(services: Services, flow: CallingFlow) -> list[FlowRun]:
    since = services.now - RUN_HISTORY
    try:
        return await services.flow_reports.read_runs_in_progress(
            flow.environment_id, flow.flow_name, since=since, until=flow.began_by
        )
    except NotFound:
        return []


def find_longest_pause(runs: list[FlowRun]) -> timedelta:
    """Return the longest time between the starts of consecutive runs, or zero."""
    starts = sorted(run.started_at for run in runs)
    intervals = (later - earlier for earlier, later in pairwise(starts))
    return max(intervals, default=timedelta(0))
