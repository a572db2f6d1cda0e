"""Check each day whether firewalls block calls by copies.

A firewall that denies one copy denies all that call its host, and the request budget is small. So
one copy is checked for each called host, and another the next day, as long as the platform still
has its runs. Each copy is checked once more before its original is retired.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.alerts import read_readable
from shared.domain.environment import Environment
from shared.domain.flow import RUN_HISTORY
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.errors import Conflict, NotFound, PlatformError
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.blocked_calls import (
    alert_blocked_call,
    read_unresolved_blocked_calls,
    record_blocked_calls_of_copy,
)
from shared.steps.write_permission import read_environment_settings
from shared.use_cases.change_remediation import retry_job


async def record_blocked_calls(services: Services, environment: Environment) -> int:
    """Record the calls of copies that firewalls block, and retry unblocked jobs.

    Reads the runs of the copies chosen for today, and of copies with blocked calls. Returns the
    number of retried jobs. If the runs of a copy cannot be read, continues with the others, then
    raises the error.
    """
    copies = await _read_copies(services, environment)
    suspects = {
        call.copy_id async for call in read_unresolved_blocked_calls(services, environment.id)
    }
    day, since = services.now.toordinal(), services.now - RUN_HISTORY
    young = [
        one for one in copies if one.observation.started_at and one.observation.started_at > since
    ]
    todays = [calling[day % len(calling)] for calling in _group_by_host(young).values()]
    # The budget may not suffice for all hosts, so the order changes daily.
    start = day % max(len(todays), 1)
    in_turn = [one for one in copies if one.copy.id in suspects] + todays[start:] + todays[:start]
    chosen = {one.id: one for one in in_turn}
    rejected: PlatformError | None = None
    try:
        for job in chosen.values():
            try:
                await record_blocked_calls_of_copy(services, environment, job)
            except PlatformError as err:  # the runs of this copy only
                rejected = err
    finally:
        await _resolve_and_delete_old_calls(services, environment, {one.copy.id for one in copies})
        async for call in read_unresolved_blocked_calls(services, environment.id):
            await alert_blocked_call(services, call)
    retried = await _retry_unblocked_jobs(services, environment)
    if rejected:
        raise rejected
    return retried


async def _read_copies(services: Services, environment: Environment) -> list[FlowJob]:
    return [
        kept.item
        async for kept in read_readable(services, services.tables.flow_jobs.scan(environment.id))
        if kept.item.original.http_hosts
        and kept.item.is_verified
        and kept.item.migration_method is not MigrationMethod.COPY_OFF
        and kept.item.observation.started_at
    ]


def _group_by_host(copies: Sequence[FlowJob]) -> Mapping[str, list[FlowJob]]:
    found: defaultdict[str, list[FlowJob]] = defaultdict(list)
    for job in sorted(copies, key=lambda one: one.id):
        for host in job.original.http_hosts:
            found[host].append(job)
    return found


async def _resolve_and_delete_old_calls(
    services: Services, environment: Environment, in_use: set[str]
) -> None:
    table = services.tables.blocked_calls
    async for kept in read_readable(services, table.scan(environment.id)):
        call = kept.item
        with suppress(Conflict, NotFound):
            if call.reason_code and call.copy_id not in in_use:
                await table.replace(kept, replace(call, reason_code="", resolved_at=services.now))
            elif not call.reason_code and services.now - call.checked_until > RUN_HISTORY:
                await table.delete(kept)


async def _retry_unblocked_jobs(services: Services, environment: Environment) -> int:
    ignored = (await read_environment_settings(services, environment.id)).ignored_issues
    unresolved = {
        call.host
        async for call in read_unresolved_blocked_calls(services, environment.id)
        if call.name not in ignored
    }
    where, count = [Condition("reason_code", "eq", Reason.OUTBOUND_CALL_BLOCKED)], 0
    async for kept in read_readable(
        services, services.tables.flow_jobs.scan(environment.id, where=where)
    ):
        if kept.item.needs_action and not unresolved & {*kept.item.original.http_hosts}:
            await retry_job(services, kept.item)
            count += 1
    return count
