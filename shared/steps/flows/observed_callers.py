"""Read who still calls an original after its callers were updated, and the names of those callers.

An environment's settings have to permit that, because trigger outputs contain what callers sent.
Only what `parse_call_traits` accepts is stored.
"""

from contextlib import aclosing, suppress
from datetime import datetime, timedelta

from shared.alerts import read_readable
from shared.domain.callers.call_headers import CallerSource, CallTraits
from shared.domain.callers.caller import Caller
from shared.domain.callers.declared_caller import DECLARED_CALLER, DeclaredCaller
from shared.domain.callers.observed_caller import (
    CallerNames,
    NamedCaller,
    ObservedCall,
    ObservedCallers,
    add_caller_names,
    add_calls,
)
from shared.domain.flow import RUN_HISTORY
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.services import Services
from shared.steps.write_permission import read_environment_settings

#: Calls to one original whose headers one check reads, by one request each.
MOST_READ = 20
#: A call this soon after its caller was updated was in progress; a later one means that a caller
#: was not found.
_IN_PROGRESS_PERIOD = timedelta(hours=1)

#: Before the name in the resource id of an Event Grid subscription, which its headers have.
_EVENT_SUBSCRIPTION = "/eventsubscriptions/"
_WORKFLOWS = frozenset({CallerSource.FLOW, CallerSource.WORKFLOW})


def compute_start_of_late_calls(services: Services, job: FlowJob, updated_at: datetime) -> datetime:
    """Return the time after which each call to the original comes from a late caller."""
    in_progress = min(_IN_PROGRESS_PERIOD, services.settings.no_call_period)
    return updated_at + job.observation.extend_period(in_progress)


async def read_and_store_new_calls(services: Services, job: FlowJob) -> ObservedCallers | None:
    """Read new calls to the original and store their callers. Return all stored callers.

    Returns None if the environment's settings do not permit that, or the job has updated no
    callers. If a read fails, what was read before it is stored.
    """
    settings = await read_environment_settings(services, job.environment_id)
    updated_at = job.observation.started_at
    if (
        not settings.observe_callers
        or updated_at is None
        or job.migration_method is not MigrationMethod.UPDATE_CALLERS
    ):
        return None
    table = services.tables.observed_callers
    kept = await table.get(job.environment_id, job.id)
    first = ObservedCallers(
        environment_id=job.environment_id,
        job_id=job.id,
        read_until=max(
            compute_start_of_late_calls(services, job, updated_at), services.now - RUN_HISTORY
        ),
    )
    before = kept.item if kept else first
    calls: list[ObservedCall] = []

    def with_calls(stored: ObservedCallers | None) -> ObservedCallers:
        return add_calls(stored or first, calls)

    try:
        reading = services.flow_reports.read_calls(
            job.environment_id, job.original.flow_name, since=before.read_until, limit=MOST_READ
        )
        async with aclosing(reading):
            async for call in reading:
                calls.append(call)  # noqa: PERF401 -- kept if the next one raises
    finally:
        settings = await read_environment_settings(services, job.environment_id)
        if calls and settings.observe_callers:  # nobody withdrew the permission meanwhile
            await table.change(job.environment_id, job.id, with_calls)
    return with_calls(before)


async def read_named_callers(
    services: Services, job: FlowJob, row: ObservedCallers
) -> list[NamedCaller]:
    """Return the observed callers with their names, from known callers, plans and jobs."""
    known: dict[str, str] = {}
    declared: dict[str, DeclaredCaller] = {}
    async for record in read_readable(services, services.tables.callers.scan(job.id)):
        caller = record.item.caller
        known |= dict.fromkeys(_list_caller_ids(caller), caller.label)
        if caller.kind == DECLARED_CALLER and (
            one := await _read_declared_caller(services, caller)
        ):
            declared[caller.label] = one
    flows: dict[str, str] = {}
    for observed in row.callers:
        traits = observed.traits
        if traits.source in _WORKFLOWS and traits.source_id not in known:
            flows |= await _read_name_of_calling_flow(services, job, traits)
    return add_caller_names(row, CallerNames(flows=flows, known=known, declared=declared))


async def _read_name_of_calling_flow(
    services: Services, job: FlowJob, traits: CallTraits
) -> dict[str, str]:
    tables = services.tables
    with suppress(UnreadableRow):
        item = await tables.plan_items.get(job.environment_job_id, traits.source_id)
        if traits.source_id and item:
            return {traits.source_id: f"flow {item.item.display_name}"}
    columns = {"copy_id": traits.source_id, "original_url_id": traits.workflow_url_id}
    for column, identity in columns.items():
        where = [Condition(column, "eq", identity)]
        if identity:
            jobs = read_readable(services, tables.flow_jobs.scan(job.environment_id, where=where))
            async for kept in jobs:
                return {identity: f"flow {kept.item.format_flow_title(identity)}"}
    return {}


async def _read_declared_caller(services: Services, caller: Caller) -> DeclaredCaller | None:
    with suppress(UnreadableRow):
        identity = caller.address.partition("/")[0]
        kept = await services.tables.declared_callers.get(DECLARED_CALLER, identity)
        return kept.item if kept else None
    return None


def _list_caller_ids(caller: Caller) -> set[str]:
    resource = caller.resource_id.removeprefix(f"{caller.kind}/").lower()
    _, _, event_subscription = resource.partition(_EVENT_SUBSCRIPTION)
    ids = {caller.workflow_id or "", resource, event_subscription}
    return {one.lower() for one in ids if one}
