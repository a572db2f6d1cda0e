"""Delete a retired original: the checks before the request, the request, and the read-back."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from shared.alerts import read_readable
from shared.domain.callers.caller import Caller
from shared.domain.callers.caller_edit import contains_reference
from shared.domain.definitions.comparison import hash_definition
from shared.domain.flow import RUN_HISTORY, FlowRun, FlowState
from shared.domain.ids import hash_key
from shared.domain.jobs.deletion import Deletion, RunCheck
from shared.domain.jobs.dependent_jobs import find_all_ancestors
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.run_archive import RunArchive, RunArchiveState
from shared.errors import Conflict, JobBlocked, MustWait, NotFound, PlatformError
from shared.jobs.fenced_rows import FencedRows
from shared.jobs.leased_job import LeasedJob
from shared.ports import ResultPage
from shared.reason import Reason
from shared.services import Services
from shared.state.rows import format_sortable_time
from shared.steps.flows.discovery_pages import has_cursor_expired
from shared.steps.flows.effect import Write, perform
from shared.steps.flows.key_report import open_key_report
from shared.steps.flows.original import OriginalFlow, find_original, find_readable_original
from shared.steps.flows.read_original_facts import build_definition_archive_name
from shared.steps.flows.runs_in_progress import require_no_run_in_progress
from shared.steps.flows.temporary_co_ownership import revoke_all_grants
from shared.steps.step_context import StepContext
from shared.steps.updating_callers.find_callers import (
    SEARCH_LASTS,
    CallerSearchRequest,
    find_callers,
)
from shared.steps.updating_callers.record_callers import (
    holds_original,
    list_original_ids,
    read_found_callers,
    read_job_copied_elsewhere,
)
from shared.steps.write_permission import read_environment_settings, require_flow_not_excluded

#: Pages of runs that one invocation reads.
_RUN_PAGES = 20


async def search_callers_before_deletion(work: StepContext, deletion: Deletion) -> Deletion:
    """Search callers, unless they were searched recently. Return the deletion with the time and the
    notes of the search.

    Raises `TransientError` if the search has to continue later.
    """
    services, now = work.services, work.services.now
    found = read_readable(services, services.tables.deletions.scan(deletion.environment_id))
    others = [kept.item async for kept in found]
    latest = max(
        others,
        key=lambda one: (
            format_sortable_time(one.callers_searched_at) if one.callers_searched_at else ""
        ),
        default=deletion,
    )
    if latest.callers_searched_at and now < latest.callers_searched_at + SEARCH_LASTS:
        return replace(deletion, callers_searched_at=latest.callers_searched_at, notes=latest.notes)
    request = CallerSearchRequest(
        environment=work.environment, everywhere=await services.environments.list()
    )
    rows = FencedRows(services.tables.caller_searches, deletion.environment_id)
    notes = await find_callers(services, request, rows)
    return replace(deletion, callers_searched_at=now, notes=tuple(notes))


async def read_deletable_original(
    work: StepContext, held: LeasedJob[Deletion], archive: RunArchive | None
) -> OriginalFlow | None:
    """Return the original if it may be deleted, or None if it no longer exists.

    Raises `MustWait`, or `JobBlocked` with what a person has to fix.
    """
    original = await find_readable_original(work)
    await revoke_all_grants(work)
    if original is None:
        return None
    if archive is None or archive.state not in {
        RunArchiveState.COMPLETED,
        RunArchiveState.TRUNCATED,
    }:
        raise JobBlocked(
            f"The platform shows {work.job.display_name}, but not its runs.",
            fix="Check in Power Automate whether it has runs, then schedule the deletion again.",
            code=Reason.ARCHIVE_FAILED,
        )
    await _require_deletable_original(work, held.job, original)
    await _require_copy_in_use(work)
    await require_no_runs(work, held, archive.started_at)
    await _require_parents_deleted(work)
    await _require_no_callers(work)
    return original


async def _require_deletable_original(
    work: StepContext, deletion: Deletion, original: OriginalFlow
) -> None:
    job = work.job
    require_flow_not_excluded(
        await read_environment_settings(work.services, job.environment_id), job
    )
    if original.state is not FlowState.OFF:
        raise JobBlocked(
            f"The retired original {job.display_name} is on again.",
            code=Reason.RETIRED_ORIGINAL_ON,
        )
    if original.is_managed:
        raise JobBlocked(
            f"{job.display_name} is part of a managed solution.",
            fix=(
                "Delete it in the environment where the solution is developed, and import the "
                "solution again."
            ),
            code=Reason.MANAGED_SOLUTION,
        )
    is_as_copied = job.original.digest in {"", hash_definition(original.client_data)}
    if not is_as_copied and not deletion.accepts_original_edits:
        raise JobBlocked(
            f"{job.display_name} was edited after it was copied.",
            fix=(
                "Make the edit in the copy too if you need it. To accept the edit, schedule the "
                "deletion again: the flow is archived and deleted as it is then. Archive: "
                f"{job.archive_name}"
            ),
            code=Reason.ORIGINAL_EDITED,
        )


async def _require_copy_in_use(work: StepContext) -> None:
    job = work.job
    try:
        state = (await work.services.workflows.get(work.environment, job.copy.id)).state
    except NotFound:
        state = None
    if state is FlowState.ON or (
        state is FlowState.OFF and job.migration_method is MigrationMethod.COPY_OFF
    ):
        return
    raise JobBlocked(
        (
            f"The copy of {job.display_name} is {state or 'gone'}, so nothing would replace the "
            "original."
        ),
        fix=(
            "Turn the copy on, or roll the job back. If neither flow is needed, delete both "
            "yourself."
        ),
        code=Reason.COPY_CHANGED,
    )


async def require_no_runs(
    work: StepContext, held: LeasedJob[Deletion], archived_to: datetime | None = None
) -> None:
    """Raise `MustWait` while a run is in progress, because a delete would stop it.

    Also raises it if a run began after `archived_to`, or if the search for runs has to continue
    later. The deletion stores the position of the search. A run may start although the flow is off,
    because somebody resubmits an earlier one (platform.md#turning-off).
    """
    services, now = work.services, work.services.now
    check = held.job.run_check or RunCheck(since=now - RUN_HISTORY, began=now)
    later = now + services.settings.wait_poll_interval
    for _ in range(_RUN_PAGES):
        if check.is_complete:
            check = RunCheck(since=check.began, began=services.now)
        is_first = check.oldest is None and not check.cursor
        try:
            page = await _read_run_page(work, check)
        except NotFound:
            return
        if page is None:  # its cursor has expired
            check = replace(check, cursor="")
            continue
        reason = "A run of the original is in progress: a delete would end it."
        require_no_run_in_progress(services, page.items, reason)
        oldest = min((run.started_at for run in page.items), default=check.oldest)
        check = replace(check, oldest=oldest, cursor=page.cursor, is_complete=not page.cursor)
        is_done = is_first and check.is_complete
        if not is_done:
            await held.save(replace(held.job, run_check=check))
        if archived_to and any(run.started_at > archived_to for run in page.items):
            reason = "The original has run since its runs were archived."
            raise MustWait(reason, until=later, code=Reason.ARCHIVING_FLOW_RUNS)
        if is_done:
            return
    reason = "The runs of the original are searched for one that is in progress."
    raise MustWait(
        reason, until=services.now + timedelta(seconds=1), code=Reason.FLOW_RUN_IN_PROGRESS
    )


async def _read_run_page(work: StepContext, check: RunCheck) -> ResultPage[FlowRun] | None:
    """Return the next page of runs, or None if the cursor has expired."""
    try:
        return await work.services.flow_reports.read_run_page(
            work.job.environment_id,
            work.job.original.flow_name,
            check.cursor,
            since=check.since,
            until=check.oldest or check.began,
        )
    except (NotFound, PlatformError) as err:
        if has_cursor_expired(check.cursor, err):
            return None
        raise


async def _require_parents_deleted(work: StepContext) -> None:
    # Without this original, the parents' originals could not be turned on.
    for parent in await work.read_related_jobs(work.job.parents):
        if parent.id != work.job.id and await _still_calls(work, parent):
            await _wait_for_deletion_of_parent(work, parent)


async def _still_calls(work: StepContext, parent: FlowJob) -> bool:
    job, services, home = work.job, work.services, work.environment
    is_here = parent.environment_id == job.environment_id
    try:
        home = home if is_here else await services.environments.get(parent.environment_id)
    except NotFound:
        return False
    original = await find_original(services, home, parent)
    if original is None:
        return False
    # A workflow id is only valid in its environment, a trigger URL everywhere.
    urls, flow_ids = {job.original.url_id} - {""}, list_original_ids(job) if is_here else set()
    return contains_reference(original.client_data, is_json=True, urls=urls, flow_ids=flow_ids)


async def _wait_for_deletion_of_parent(work: StepContext, parent: FlowJob) -> None:
    """Raise an error unless the parent waits for this deletion, as the two call one another."""
    job, services = work.job, work.services
    kept = await services.tables.deletions.get(parent.environment_id, parent.id)
    if kept is None or not kept.item.is_open:
        raise JobBlocked(
            f"The original of {parent.display_name} still calls this one.",
            fix=(
                f"Schedule the deletion of {parent.display_name} too, then schedule this one again."
            ),
            code=Reason.PARENT_FLOW_NOT_READY,
        )
    in_loop = job.id in find_all_ancestors(parent, await work.read_ancestors())
    if in_loop and kept.item.reason_code == Reason.PARENT_FLOW_NOT_READY:
        return
    until = max(services.now + services.settings.wait_poll_interval, kept.item.delete_at)
    raise MustWait(
        f"{parent.display_name} has to be deleted first.",
        until=until,
        code=Reason.PARENT_FLOW_NOT_READY,
    )


async def _require_no_callers(work: StepContext) -> None:
    job = work.job
    async with aclosing(_read_known_callers(work)) as callers:
        async for caller in callers:
            other = await read_job_copied_elsewhere(work, caller)
            if other and other.id == job.id:
                continue  # it calls itself
            if not await holds_original(work.services, job, caller):
                continue
            if other:
                await _wait_for_deletion_of_parent(work, other)
                continue
            raise JobBlocked(
                f"The {caller.label} still holds the URL or id of {job.display_name}.",
                fix="Change it to the copy, or remove it. Then schedule the deletion again.",
                code=Reason.MANUAL_CALLER,
            )


async def _read_known_callers(work: StepContext) -> AsyncGenerator[Caller]:
    seen = set()
    for record in await work.services.tables.callers.read_all(work.job.id):
        seen.add(record.id)
        yield record.caller
    async for caller in read_found_callers(work):
        identity = hash_key(caller.kind, caller.address)
        if identity not in seen:
            seen.add(identity)
            yield caller


async def archive_definition(work: StepContext, original: OriginalFlow) -> str:
    """Archive the current definition, read it back, and return its path in the archive.

    Raises `JobBlocked` if the archive does not return it.
    """
    archive, digest = work.services.archive, hash_definition(original.client_data)
    name = build_definition_archive_name(
        replace(work.job, original=replace(work.job.original, digest=digest))
    )
    where = await archive.put(name, original.client_data.encode())
    try:
        is_kept = hash_definition((await archive.get(name)).decode()) == digest
    except NotFound:
        is_kept = False
    if not is_kept:
        raise JobBlocked(
            f"The archive does not return the definition of {work.job.display_name}.",
            fix=f"Check {where} in the archive, then schedule the deletion again.",
            code=Reason.ARCHIVE_FAILED,
        )
    return where


async def delete_original(
    work: StepContext, original: OriginalFlow, permit: Callable[[], Awaitable[object]]
) -> None:
    """Delete the original in the version that was read, and check that it is gone.

    `permit` raises an error if the delete may not be sent. Raises `Conflict` if the original has
    changed since it was read, and `MustWait` if it still exists after the delete.
    """
    job, services = work.job, work.services

    async def send_delete() -> None:
        if job.original.in_solution and original.etag:
            await services.workflows.delete(work.environment, job.original.id, etag=original.etag)
            return
        # The flow service accepts no version, so the original is read again right before the
        # delete.
        now = await find_readable_original(work)
        await revoke_all_grants(work)
        if now is None or _get_state_and_version(now) != _get_state_and_version(original):
            raise Conflict(f"{job.display_name} was changed after it was read")
        await services.flow_switch.delete(job.environment_id, job.original.flow_name)

    await perform(Write(permit=permit, call=send_delete))
    if await find_original(services, work.environment, job):
        reason = "The platform accepted the delete, but the flow still exists."
        raise MustWait(
            reason,
            until=services.now + services.settings.wait_poll_interval,
            code=Reason.WRITE_NOT_VISIBLE,
        )


def _get_state_and_version(original: OriginalFlow) -> tuple[FlowState, str]:
    return original.state, original.etag or hash_definition(original.client_data)


async def read_ids_on_microsoft_key_list(services: Services, environment_id: str) -> frozenset[str]:
    """Return the Dataverse and flow service ids of the flows on Microsoft's key.

    See platform.md#microsoft-key-list.
    """
    async with open_key_report(services, environment_id) as report:
        return report.ids
