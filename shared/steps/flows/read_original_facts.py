"""Take an original as it is: what a plan would say of it now, and whether it was edited since."""

from shared.domain.definitions.changed_paths import changed_places
from shared.domain.definitions.comparison import definition_digest
from shared.domain.definitions.flow_definition import UnreadableDefinition, parse_client_data
from shared.domain.definitions.flow_summary import DefinitionSummary, summarise
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob, migration_method_for
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.errors import JobBlocked, NotFound
from shared.reason import Reason
from shared.steps.flows.original import OriginalFlow
from shared.steps.step_context import StepContext


async def record_original(work: StepContext, original: OriginalFlow) -> FlowJob:
    """Return the job with what it has to know of the original as it is now.

    Raises `JobBlocked` if the original was edited since it was planned or copied. A job without a
    digest takes the edit over: an administrator said so by a retry, or a setting does.
    """
    job = work.job
    if job.original_digest:
        await check_unchanged(work, original)
    else:
        job = await _with_edit(work, original)
    if job.observation_started_at:
        return job  # callers hold the copy's URL: it stays on, whatever the original is now
    pattern = migration_method_for(TriggerCategory(job.category), is_on=original.is_on)
    return replace(job, original_was_on=original.is_on, pattern=pattern)


def archive_name(job: FlowJob) -> str:
    """Return the name under which the definition with the job's digest is archived."""
    return f"{job.environment_id}/{job.original_id}/{job.original_digest[:16]}.json"


async def check_unchanged(work: StepContext, original: OriginalFlow) -> None:
    """Return if the original reads as it was planned or copied; else raise `JobBlocked`."""
    job = work.job
    if job.original_digest in {"", definition_digest(original.client_data)}:
        return
    when, places = "planned", ""
    if job.archive:
        when, places = "copied", await _places(work, original)
    remedy = "Compare it with the archived definition, then retry: it is copied as it is now."
    if job.reached is FlowJobState.MONITORING:
        remedy = "The copy runs, not the original: make the edit in the copy too, then retry."
    raise JobBlocked(
        f"{job.display_name} was edited after it was {when}.{places}",
        instruction=f"{remedy} Archive: {job.archive}" if job.archive else remedy,
        code=Reason.ORIGINAL_EDITED,
    )


async def _with_edit(work: StepContext, original: OriginalFlow) -> FlowJob:
    job, digest = work.job, definition_digest(original.client_data)
    try:
        summary = summarise(parse_client_data(original.client_data))
    except UnreadableDefinition as err:
        raise JobBlocked(
            f"The definition of {job.display_name} cannot be read: {err.reason}.",
            code=Reason.DEFINITION_UNREADABLE,
        ) from err
    is_another = summary.category is not TriggerCategory(job.category)
    if is_another and (job.copy_flow_name or summary.category is TriggerCategory.UNKNOWN):
        when = "copied" if job.copy_flow_name else "planned"
        raise JobBlocked(
            f"{job.display_name} was given another trigger after it was {when}.",
            code=Reason.TRIGGER_CHANGED,
        )
    return replace(
        job,
        original_digest=digest,
        category=summary.category,
        trigger_name=summary.trigger_name,
        has_trigger_url=summary.category.has_callback_url,
        http_hosts=summary.http_hosts,
        children=await _children(work, summary),
    )


async def _children(work: StepContext, summary: DefinitionSummary) -> tuple[str, ...]:
    """Return the jobs of the children that stay on Microsoft's key: the others have none."""
    job = work.job
    children = sorted(summary.children - {job.original_id})
    ids = [derive_flow_job_id(job.environment_id, child, job.policy_id) for child in children]
    return tuple(child.id for child in await work.related(ids) if child.pattern.has_copy)


async def _places(work: StepContext, original: OriginalFlow) -> str:
    try:
        copied = (await work.services.archive.get(archive_name(work.job))).decode()
    except NotFound:
        return ""
    places = changed_places(copied, original.client_data)
    return f" What differs: {', '.join(places)}." if places else ""
