"""Find calls of copies that a firewall denied, in the copies' runs, and name the firewall.

A copy is verified against the firewalls' rules; its runs show the actual result.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.alerts import read_readable, send_alert
from shared.domain.definitions.flow_definition import UnreadableDefinition, parse_client_data
from shared.domain.environment import Environment
from shared.domain.flow import RUN_HISTORY, FailedAction, FlowRun
from shared.domain.jobs.flow_job import FlowJob
from shared.domain.network.blocked_call import BlockedCall, group_symptoms_by_host
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, Conflict, JobBlocked, NotFound, PlatformError
from shared.logs.fields import get_product_log
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import StoredItem
from shared.steps.flows.check_network import ANY_HOST, find_blocking_issues, read_network
from shared.steps.step_context import StepContext
from shared.steps.write_permission import read_environment_settings

log = get_product_log(__name__)

#: Runs of a copy that are read, and failed ones whose actions are read.
_MAX_RUNS = 50
_MAX_FAILED_RUNS = 3


async def require_no_blocked_calls(work: StepContext) -> None:
    """Record the blocked calls of this job's copy. Raise `JobBlocked` if calls to the job's hosts
    are blocked.

    Calls of other copies to these hosts count. Resolved and ignored calls do not.
    """
    job, services = work.job, work.services
    if not job.original.http_hosts:
        return
    await record_blocked_calls_of_copy(services, work.environment, job)
    ignored = (await work.read_settings()).ignored_issues
    unresolved = [
        call
        async for call in read_unresolved_blocked_calls(services, job.environment_id)
        if call.host in job.original.http_hosts and call.name not in ignored
    ]
    if unresolved:
        raise JobBlocked(
            f"{job.display_name} is not retired, because a copy's call to one of its hosts was "
            "denied: " + " ".join(f"{call.text} [{call.name}]" for call in unresolved),
            fix=" ".join(dict.fromkeys(call.fix for call in unresolved))
            + (
                " The job continues after a later run succeeded, which the daily check detects. "
                "Or ignore the call by the name in brackets (`cmkflow environment ignore`)."
            ),
            code=Reason.OUTBOUND_CALL_BLOCKED,
        )


async def read_unresolved_blocked_calls(
    services: Services, environment_id: str
) -> AsyncIterator[BlockedCall]:
    """Yield the unresolved blocked calls of an environment."""
    table = services.tables.blocked_calls
    async for kept in read_readable(services, table.scan(environment_id)):
        if kept.item.reason_code:
            yield kept.item


async def alert_blocked_call(services: Services, call: BlockedCall) -> None:
    """Send an alert about a blocked call, unless one was sent and the call is still unresolved."""
    row = services.tables.blocked_calls.get_row_name(call)
    await send_alert(services, call.reason_code, row, f"{call.text} {call.fix}")


async def record_blocked_calls_of_copy(
    services: Services, environment: Environment, job: FlowJob
) -> None:
    """Read the runs of a job's copy, and record the calls that a firewall blocked.

    Sends an alert about each new blocked call, and resolves calls that now succeed.
    """
    since = services.now - RUN_HISTORY
    try:
        runs = await services.flow_reports.read_runs(
            environment.id,
            job.copy.flow_name,
            since=max(since, job.observation.started_at or since),
            limit=_MAX_RUNS,
        )
        found = await _find_blocked_calls_in_runs(services, environment, job, runs)
    except NotFound:
        return  # the copy is gone, or has another name since it was turned on
    for call in found.values():
        await _record_blocked_call(services, environment, call)
    table = services.tables.blocked_calls
    async for kept in read_readable(services, table.scan(environment.id)):
        if kept.item.copy_id == job.copy.id and kept.item.reason_code:
            await _resolve_blocked_call(services, environment, kept, runs)


async def _find_blocked_calls_in_runs(
    services: Services, environment: Environment, job: FlowJob, runs: Sequence[FlowRun]
) -> dict[str, BlockedCall]:
    failed = [run for run in runs if run.has_failed][:_MAX_FAILED_RUNS]
    hosts = await _read_hosts_by_action(services, environment, job) if failed else {}
    found: dict[str, BlockedCall] = {}
    for run in reversed(failed):
        actions = await _read_failed_actions(services, job, run)
        for host, (action, symptom) in group_symptoms_by_host(run, actions, hosts, runs).items():
            found[host] = BlockedCall(
                environment_id=job.environment_id,
                host=host,
                display_name=job.display_name,
                copy_id=job.copy.id,
                action=action.name,
                run_id=run.run_id,
                failed_at=run.started_at,
                symptom=symptom,
                reason_code=Reason.OUTBOUND_CALL_BLOCKED,
            )
    return found


async def _read_hosts_by_action(
    services: Services, environment: Environment, job: FlowJob
) -> dict[str, str]:
    copy = await services.workflows.get(environment, job.copy.id)
    try:
        definition = parse_client_data(copy.client_data)
    except UnreadableDefinition:
        return {}
    return {one.action: one.host or ANY_HOST for one in definition.http_actions}


async def _read_failed_actions(
    services: Services, job: FlowJob, run: FlowRun
) -> Sequence[FailedAction]:
    try:
        return await services.flow_reports.read_failed_actions(
            job.environment_id, job.copy.flow_name, run.run_id
        )
    except (NotFound, PlatformError) as err:
        log.warning("failed actions of the copy of %s cannot be read: %s", job.display_name, err)
        return ()


async def _record_blocked_call(
    services: Services, environment: Environment, call: BlockedCall
) -> None:
    table = services.tables.blocked_calls
    known = await table.get(*table.get_address(call))
    if known and known.item.checked_until >= call.failed_at:
        return
    explanation, fix = await _explain_blocked_call(services, environment, call)
    call = replace(call, message=explanation, fix=fix)

    def select_newer(old: BlockedCall | None) -> BlockedCall | None:
        return None if old and old.checked_until >= call.failed_at else call

    if await table.change(*table.get_address(call), select_newer):
        await alert_blocked_call(services, call)


async def _explain_blocked_call(
    services: Services, environment: Environment, call: BlockedCall
) -> tuple[str, str]:
    try:
        network = await read_network(services, environment, [call.host])
    except CmkflowError as err:
        why = f"Which firewall denies it is unknown: {redact(str(err))}"
        return why, "Check the firewalls of the host: `cmkflow network check`."
    gaps = [gap for gap in network.find_issues([call.host]) if gap.is_required]
    gaps = gaps or network.find_external_host_issues({call.host: [call.display_name]})
    if gaps:
        return " ".join(gap.message for gap in gaps), " ".join(gap.fix for gap in gaps)
    return (
        "Every firewall that this app reads allows PowerPlatformPlex.",
        (
            "Check the firewalls that the app does not read (docs/network.md), and whether the "
            "host answers."
        ),
    )


async def _resolve_blocked_call(
    services: Services,
    environment: Environment,
    kept: StoredItem[BlockedCall],
    runs: Sequence[FlowRun],
) -> None:
    call = kept.item
    later = [
        run.started_at for run in runs if run.started_at > call.failed_at and run.has_succeeded
    ]
    if not later:
        return
    ignored = (await read_environment_settings(services, environment.id)).ignored_issues
    if not await find_blocking_issues(services, environment, [call.host], ignored):
        settled = replace(call, reason_code="", resolved_at=max(later))
        with suppress(Conflict):  # a newer call was recorded
            await services.tables.blocked_calls.replace(kept, settled)
