"""Copy an original: archive it, create the copy once under a derived id, and turn it on or off."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

from shared.domain.callers.caller_edit import replace_references
from shared.domain.definitions.comparison import hash_definition
from shared.domain.definitions.lost_references import with_lost_references
from shared.domain.definitions.subscription_name import with_own_subscription
from shared.domain.display_names import build_copy_name
from shared.domain.flow import FlowState, Workflow, WorkflowDraft, WorkflowUpdate
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.domain.jobs.transitions import add_notes, move_to_state
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import JobBlocked, MustWait
from shared.jobs.engine import UNTIL_WOKEN
from shared.ports import Condition
from shared.reason import Reason
from shared.steps.copying.add_copy_to_solutions import add_copy_to_solutions
from shared.steps.copying.bind_connections import bind_connections
from shared.steps.copying.explain_owner import explain_owner
from shared.steps.copying.share_copy import share_copy
from shared.steps.copying.solutions_and_shares import read_original_with_solutions_and_shares
from shared.steps.copying.turn_copy_on_or_off import toggle_copy
from shared.steps.flows.effect import SKIP, Effect, Refusal, Reply, Write, apply_effect
from shared.steps.flows.flow_names import read_flow_name
from shared.steps.flows.original import OriginalFlow
from shared.steps.flows.plans_in_progress import was_plan_cancelled
from shared.steps.flows.read_back import wait_until_visible
from shared.steps.flows.read_original_facts import (
    build_definition_archive_name,
    read_job_with_original_facts,
)
from shared.steps.flows.read_trigger_url import read_trigger_url
from shared.steps.flows.require_healthy_copy import find_copy
from shared.steps.flows.update_workflow import build_flow_write
from shared.steps.flows.write_definition import (
    SavedFlow,
    build_definition_save,
    is_stored_definition,
    read_demands_newer_shape,
)
from shared.steps.step_context import StepContext
from shared.steps.write_permission import require_flow_not_excluded

MODERN_TYPE_NOTE = (
    "The platform did not keep the original's agent type (modernflowtype): the copy is an "
    "ordinary cloud flow, and is billed and listed as one."
)


async def check_and_start_copy(work: StepContext) -> FlowJob:
    """Return the job in state copying if the plan still applies.

    Returns it as cancelled if its plan was cancelled. Raises `MustWait` or `JobBlocked` for other
    reasons not to copy, such as a child flow that is not verified.
    """
    job = work.job
    require_flow_not_excluded(await work.read_settings(), job)
    original, _ = await work.read_cached(
        "original", partial(read_original_with_solutions_and_shares, work)
    )
    if original.is_managed:
        raise JobBlocked(
            f"{job.display_name} is part of a managed solution.",
            fix=(
                "Copy it in the environment where the solution is developed, and import the "
                "solution again. Then start a new remediation."
            ),
            code=Reason.MANAGED_SOLUTION,
        )
    job = await read_job_with_original_facts(work, original)
    if await was_plan_cancelled(work):
        text = "The remediation was cancelled while its flow jobs were created."
        return move_to_state(job, FlowJobState.CANCELLED, text, now=work.services.now)
    await _wait_for_pilot_flows(work)
    for child in await work.read_related_jobs(job.children):
        if child.is_verified:
            continue
        if child.is_inactive:
            raise JobBlocked(
                f"The child flow {child.display_name} is {child.state}: {child.message}",
                fix=f"Fix the job of {child.display_name} first. This job then continues.",
                code=Reason.CHILD_FLOW_NOT_READY,
            )
        raise MustWait(
            f"The child flow {child.display_name} is not copied yet.",
            until=work.services.now + UNTIL_WOKEN,
            code=Reason.CHILD_FLOW_NOT_READY,
        )
    await work.require_write_allowed()
    return move_to_state(
        job,
        FlowJobState.COPYING,
        "The plan still applies. The app is creating the copy.",
        now=work.services.now,
    )


async def create_copy(work: StepContext) -> FlowJob:
    """Create the copy, or continue with one that an interrupted invocation created. Then turn it on
    or off, as the migration method requires.
    """
    services, environment = work.services, work.environment
    original, belonging = await work.read_cached(
        "original", partial(read_original_with_solutions_and_shares, work)
    )
    job = await read_job_with_original_facts(work, original)
    where = await services.archive.put(
        build_definition_archive_name(job), original.client_data.encode()
    )
    await work.save(replace(job, archive_name=where))
    intended = await read_definition_for_copy(work, original.client_data)
    intended = await bind_connections(work, original, intended)
    row = await _create_and_compare(work, original, intended)
    if original.modern_type and row.modern_type != original.modern_type:
        work.stage(add_notes(work.job, MODERN_TYPE_NOTE))
    # With the same kind of id as the original's owner, so that a later change of owner is noticed.
    asked_for = work.job.copy.owner_id or original.owner_id
    owner = asked_for if original.owner_is_entra_id else row.owner_id
    work.stage(replace(work.job, copy=replace(work.job.copy, owner_id=owner)))
    await add_copy_to_solutions(work, belonging)
    work.stage(await share_copy(work, original, belonging))
    # Turn it off, too: an interrupted invocation may have turned it on before its original went
    # off.
    is_on = work.job.migration_method is MigrationMethod.UPDATE_CALLERS
    row = await toggle_copy(work, FlowState.ON if is_on else FlowState.OFF, seen=row)
    name = await read_flow_name(
        services, environment.id, row.workflow_id, state=row.state, unique_id=row.unique_id
    )
    if name is None:
        what = f"The copy of {work.job.display_name} in the flow service"
        await wait_until_visible(work, what)
        raise JobBlocked(
            f"The flow service does not show the copy of {work.job.display_name}.",
            code=Reason.WRITE_NOT_VISIBLE,
        )
    digest = hash_definition(row.client_data)
    job = replace(work.job, copy=replace(work.job.copy, flow_name=name, digest=digest))
    state = "on" if row.state is FlowState.ON else "off"
    text = f"The copy exists and is {state}."
    return move_to_state(job, FlowJobState.COPIED, text, now=services.now)


async def read_definition_for_copy(work: StepContext, client_data: str) -> str:
    """Return the original's definition with references to verified copies of the flows that it
    calls.

    If a flow runs itself and its copy is turned on while the original is on, the copy calls the
    original at first, because the platform does not turn on a flow whose child was never on. The
    copy then counts as a caller of the original.
    """
    job = work.job
    flow_ids = {
        child.original.id: child.copy.id
        for child in await work.read_related_jobs(job.children)
        if child.is_verified
    }
    if job.migration_method is not MigrationMethod.UPDATE_CALLERS:
        flow_ids[job.original.id] = job.copy.id
    urls: dict[str, str] = {}
    for url_id in sorted({match.url.trigger_url_id for match in find_trigger_urls(client_data)}):
        called = await find_job_of_url(work, url_id)
        if called and called.is_verified and called.id != job.id:
            urls[url_id] = await read_trigger_url(
                work, called.copy.flow_name, called.original.trigger_name, called.environment_id
            )
    text = replace_references(client_data, is_json=True, urls=urls, flow_ids=flow_ids).text
    return with_own_subscription(text, job.original.ids, job.copy.id)


async def find_job_of_url(work: StepContext, url_id: str) -> FlowJob | None:
    """Return the job of the original whose trigger URL has this id, or None.

    The job may be in another environment.
    """
    where = [Condition("original_url_id", "eq", url_id)]
    found = [
        job
        for job in await work.services.tables.flow_jobs.read_all(where=where)
        if job.environment_id != work.job.environment_id or job.policy_id == work.job.policy_id
    ]
    # There are several if an environment was moved to another policy.
    return max(found, key=lambda job: (job.is_verified, job.is_live), default=None)


async def _create_and_compare(work: StepContext, original: OriginalFlow, intended: str) -> Workflow:
    job, title = work.job, f"The copy of {work.job.display_name}"
    read = partial(work.services.workflows.get, work.environment, job.copy.id)
    newer_first = await read_demands_newer_shape(work.services, job.environment_id)

    def build_definition_write(before: str, write_of: Callable[[str], Write]) -> Write:
        flow = SavedFlow(
            title=f"copy of {job.display_name}",
            environment_id=job.environment_id,
            before=before,
            read=partial(_read_definition_of_workflow, read),
            write_of=write_of,
            newer_shape_first=newer_first,
        )
        return build_definition_save(work, flow, intended)

    def build_update(row: Workflow) -> Write:
        def build_update_with(text: str) -> Write:
            return build_flow_write(work, row, WorkflowUpdate(client_data=text))

        return build_definition_write(_with_stored_references(row, intended), build_update_with)

    created = Effect[Workflow | None](
        title=title,
        read=read,
        # If another invocation has created it, its definition is compared below.
        missing=lambda row: (
            []
            if row
            else [build_definition_write("", partial(_build_copy_creation, work, original))]
        ),
    )
    # Before the copy was read back once, the create request itself shows whether it exists.
    row = await apply_effect(work, created, seen=await find_copy(work) if job.copy.digest else None)
    assert row
    if not is_stored_definition(row.client_data, intended):
        _require_unedited_copy(work.job, row, intended)
    written = Effect[Workflow](
        title=title,
        read=read,
        missing=lambda row: (
            [] if is_stored_definition(row.client_data, intended) else [build_update(row)]
        ),
        not_kept=lambda _: JobBlocked(
            f"The platform stored the copy of {job.display_name} differently from what was sent.",
            code=Reason.COPY_DIFFERS,
        ),
    )
    return await apply_effect(work, written, seen=row)


async def _read_definition_of_workflow(read: Callable[[], Awaitable[Workflow]]) -> str:
    return (await read()).client_data


def _with_stored_references(row: Workflow, intended: str) -> str:
    return with_lost_references(intended, row.client_data)


def _require_unedited_copy(job: FlowJob, row: Workflow, intended: str) -> None:
    """Raise `JobBlocked` if somebody edited the copy, because another write would overwrite the
    edit.
    """
    if job.copy.digest in {"", hash_definition(_with_stored_references(row, intended))}:
        return
    raise JobBlocked(
        (
            f"The copy of {job.display_name} was edited, and the app is about to write it again "
            "from the original."
        ),
        code=Reason.ORIGINAL_AND_COPY_EDITED,
    )


def _build_copy_creation(work: StepContext, original: OriginalFlow, client_data: str) -> Write:
    draft = WorkflowDraft(
        workflow_id=work.job.copy.id,
        name=build_copy_name(original.name),
        description=original.description,
        client_data=client_data,
        owner_id=original.owner_id,
        owner_is_entra_id=original.owner_is_entra_id,
        modern_type=original.modern_type,
    )
    return Write(
        permit=work.require_write_allowed,
        call=lambda: work.services.workflows.create(work.environment, draft),
        on_refusal=partial(_explain_creation_error, work, original),
    )


async def _explain_creation_error(
    work: StepContext, original: OriginalFlow, error: Refusal
) -> Reply:
    """Return an explanation of an error about the owner, or None if the error is about something
    else.

    Returns `SKIP` if the copy exists, because the platform checks the right to act for the owner
    first.
    """
    reply = await explain_owner(work, original, error)
    return SKIP if reply and await find_copy(work) else reply


async def _wait_for_pilot_flows(work: StepContext) -> None:
    job = work.job
    first = (await work.read_settings()).pilot_flows
    if not first or job.original.ids & first:
        return
    where = [Condition("environment_job_id", "eq", job.environment_job_id)]
    jobs = {
        other.id: other
        for other in await work.services.tables.flow_jobs.read_all(job.environment_id, where=where)
    }
    pilots = _list_pilots_and_children(
        jobs, {one.id for one in jobs.values() if one.original.ids & first}
    )
    if job.id in pilots:
        return
    for other in pilots:
        if not jobs[other].state_properties.is_past_cutover:
            until = work.services.now + work.services.settings.wait_poll_interval
            name, state = jobs[other].display_name, jobs[other].state
            raise MustWait(
                f"The pilot flows are migrated first: {name} is {state}.",
                until=until,
                code=Reason.WAITING_FOR_PILOT_FLOWS,
            )


def _list_pilots_and_children(jobs: Mapping[str, FlowJob], pilots: Collection[str]) -> list[str]:
    found: dict[str, None] = {}
    waiting = sorted(pilots)
    while waiting:
        one = waiting.pop()
        if one in jobs and one not in found:
            found[one] = None
            waiting += jobs[one].children
    return list(found)
