"""Record that a declared caller calls a copy, or in a rollback the original again."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.alerts import read_readable
from shared.domain.callers.caller_records import build_caller_index_entries
from shared.domain.callers.declared_caller import (
    DECLARED_CALLER,
    CalledFlow,
    DeclaredCaller,
    build_callers_of_declaration,
    build_declared_caller_id,
    build_secret_callers,
)
from shared.domain.jobs.called_sides import (
    get_copy_ids,
    get_ids_that_callers_stop_calling,
    get_original_ids,
)
from shared.domain.jobs.flow_job import FlowJob
from shared.errors import DeclaredCallerNotFound, FlowNotFound, JobBlocked, NotFound
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.use_cases.change_remediation import retry_job
from shared.use_cases.name_flows import select_flows


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The result of confirming that a declared caller calls the other side of a flow."""

    caller: DeclaredCaller
    #: Name of the flow, and whether the caller now calls its copy; False: the original.
    display_name: str
    calls_copy: bool
    retried_count: int


async def confirm_caller(services: Services, name: str, flow: str, *, by: str) -> Confirmation:
    """Record that a caller calls the copy of a flow, or in a rollback the original again.

    `flow` is an id or a name. Retries the job if a manual caller blocks it. Raises `NotFound` for
    an unknown caller, and `FlowNotFound` with candidates for a flow that the caller does not call
    or that has no verified copy.
    """
    kept = await read_declared_caller(services, name)
    called = kept.item.flows
    jobs = {job.id: job for one in called for job in await read_jobs_of_called_flow(services, one)}
    where = f"{kept.item.name} with a verified copy"
    open_jobs = [
        job for job in jobs.values() if get_ids_that_callers_stop_calling(job).is_called(called)
    ]
    try:
        job = select_flows(open_jobs, [flow], where)[0]
    except FlowNotFound:
        job = select_flows([*jobs.values()], [flow], where)[0]

    return await confirm_caller_of_job(services, kept.item, job, by=by)


async def confirm_caller_of_job(
    services: Services, declared: DeclaredCaller, job: FlowJob, *, by: str
) -> Confirmation:
    """Record that a caller calls the copy of a job, or in a rollback the original again.

    Retries the job if a manual caller blocks it.
    """

    def with_confirmed_flows(caller: DeclaredCaller | None) -> DeclaredCaller | None:
        return caller and replace(
            caller,
            flows=tuple(
                _with_confirmation(one, job, services, by)
                if get_ids_that_callers_stop_calling(job).matches(one)
                else one
                for one in caller.flows
            ),
        )

    stored = await services.tables.declared_callers.change(
        DECLARED_CALLER, declared.id, with_confirmed_flows
    )
    caller = stored.item if stored else declared
    await index_declared_callers(services, [declared], [caller])
    return Confirmation(
        caller=caller,
        display_name=job.display_name,
        calls_copy=not job.is_rolling_back,
        retried_count=await retry_jobs_blocked_by_callers(services, [job]),
    )


async def read_declared_caller(services: Services, name: str) -> StoredItem[DeclaredCaller]:
    """Return the declared caller with this name. Raises `NotFound` if there is none."""
    identity = build_declared_caller_id(name)
    kept = await services.tables.declared_callers.get(DECLARED_CALLER, identity)
    if kept is None:
        raise DeclaredCallerNotFound(f"No caller with the name {name} is declared.")
    return kept


async def read_jobs_of_called_flow(services: Services, flow: CalledFlow) -> list[FlowJob]:
    """Return the flow jobs whose original or copy is a flow that a declared caller calls.

    Only jobs in a rollback count, and live jobs with a verified copy.
    """
    rows = services.tables.flow_jobs.scan(flow.environment_id or None)
    return [
        kept.item
        async for kept in read_readable(services, rows)
        if (kept.item.is_rolling_back or (kept.item.is_live and kept.item.is_verified))
        and (get_original_ids(kept.item).matches(flow) or get_copy_ids(kept.item).matches(flow))
    ]


async def require_calls_ended(
    services: Services, caller: DeclaredCaller, *, but_not: Sequence[CalledFlow] = ()
) -> None:
    """Raise `JobBlocked` if an original that the caller calls still receives calls.

    Does not check the flows in `but_not`.
    """
    left = {one.id for one in but_not}
    for flow in (one for one in caller.flows if one.id not in left):
        for job in await read_jobs_of_called_flow(services, flow):
            since = job.observation.started_at
            if since is None or job.is_rolling_back or job.has_succeeded:
                continue
            if not get_original_ids(job).matches(flow):
                continue
            runs = []
            with suppress(NotFound):
                runs = await services.flow_reports.read_runs(
                    job.environment_id, job.original.flow_name, since=since, limit=1
                )
            if runs:
                raise JobBlocked(
                    f"{caller.name} may still call {job.display_name}: its last call was at "
                    f"{runs[0].started_at:%Y-%m-%d %H:%M} UTC, after its known callers were "
                    f"updated ({since:%Y-%m-%d %H:%M} UTC).",
                    fix=build_callers_of_declaration(caller)[0].manual_reason,
                    code=Reason.MANUAL_CALLER,
                )


async def index_declared_callers(
    services: Services, before: Sequence[DeclaredCaller], after: Sequence[DeclaredCaller]
) -> None:
    """Update the caller index with the flows that declared callers call now.

    Jobs in progress read the index before the next caller search.
    """
    index = services.tables.caller_index
    old, new = (
        {
            (place.held_id, place.id): place
            for declared in callers
            for caller in (*build_callers_of_declaration(declared), *build_secret_callers(declared))
            for place in build_caller_index_entries(caller, services.now)
        }
        for callers in (before, after)
    )
    await index.upsert(*new.values())
    for key in old.keys() - new.keys():
        with suppress(NotFound):
            await services.tables.store.write(index.build_removal(old[key]))


async def retry_jobs_blocked_by_callers(services: Services, jobs: Collection[FlowJob]) -> int:
    """Retry the given jobs that a manual caller blocks, and return their number."""
    blocked = [one for one in jobs if one.needs_action and one.reason_code == Reason.MANUAL_CALLER]
    for job in blocked:
        await retry_job(services, job)
    return len(blocked)


def _with_confirmation(flow: CalledFlow, job: FlowJob, services: Services, by: str) -> CalledFlow:
    is_back = job.is_rolling_back
    new_id = job.original.id if is_back else job.copy.id
    new_url_id = job.original.url_id if is_back else job.copy.url_id
    return replace(
        flow,
        confirmed_flow_id=new_id if flow.flow_id else "",
        confirmed_trigger_url_id=new_url_id if flow.trigger_url_id else "",
        confirmed_by=by,
        confirmed_at=services.now,
    )
