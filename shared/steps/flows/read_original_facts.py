"""Record an original as it is now, and detect edits since it was planned or copied."""

from shared.domain.definitions.changed_paths import find_changed_paths
from shared.domain.definitions.comparison import hash_definition
from shared.domain.definitions.flow_definition import UnreadableDefinition, parse_client_data
from shared.domain.definitions.flow_summary import DefinitionSummary, summarize_definition
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob, choose_migration_method
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.replace_fields import replace
from shared.errors import JobBlocked, NotFound
from shared.reason import Reason
from shared.steps.flows.original import OriginalFlow
from shared.steps.step_context import StepContext


async def read_job_with_original_facts(work: StepContext, original: OriginalFlow) -> FlowJob:
    """Return the job with the current facts of the original.

    Raises `JobBlocked` if the original was edited since it was planned or copied. If the job has no
    digest, the edit is accepted, because an administrator retried the job, or a setting allows
    edits.
    """
    job = work.job
    if job.original.digest:
        await require_unchanged_original(work, original)
    else:
        job = await _read_job_with_edited_original(work, original)
    if job.observation.started_at:
        return job  # callers use the copy, so it stays on
    pattern = choose_migration_method(TriggerCategory(job.original.category), is_on=original.is_on)
    return replace(
        job, original=replace(job.original, was_on=original.is_on), migration_method=pattern
    )


def build_definition_archive_name(job: FlowJob) -> str:
    """Return the name of the archived definition whose digest is in the job's row."""
    return f"{job.environment_id}/{job.original.id}/{job.original.digest[:16]}.json"


async def require_unchanged_original(work: StepContext, original: OriginalFlow) -> None:
    """Raise `JobBlocked` if the original is not as it was planned or copied."""
    job = work.job
    if job.original.digest in {"", hash_definition(original.client_data)}:
        return
    when, places = "planned", ""
    if job.archive_name:
        when, places = "copied", await _describe_changes(work, original)
    fix = (
        "Compare it with the archived definition, then retry: the app copies the flow as it is now."
    )
    if job.step is FlowJobState.MONITORING:
        fix = "The copy runs instead of the original. Make the edit in the copy too, then retry."
    raise JobBlocked(
        f"{job.display_name} was edited after it was {when}.{places}",
        fix=f"{fix} Archive: {job.archive_name}" if job.archive_name else fix,
        code=Reason.ORIGINAL_EDITED,
    )


async def _read_job_with_edited_original(work: StepContext, original: OriginalFlow) -> FlowJob:
    job, digest = work.job, hash_definition(original.client_data)
    try:
        summary = summarize_definition(parse_client_data(original.client_data))
    except UnreadableDefinition as err:
        raise JobBlocked(
            f"The definition of {job.display_name} cannot be read: {err.reason}.",
            code=Reason.DEFINITION_UNREADABLE,
        ) from err
    is_another = summary.category is not TriggerCategory(job.original.category)
    if is_another and (job.copy.flow_name or summary.category is TriggerCategory.UNKNOWN):
        when = "copied" if job.copy.flow_name else "planned"
        raise JobBlocked(
            f"The trigger of {job.display_name} was changed after it was {when}.",
            code=Reason.TRIGGER_CHANGED,
        )
    return replace(
        job,
        original=replace(
            job.original,
            digest=digest,
            category=summary.category,
            trigger_name=summary.trigger_name,
            has_trigger_url=summary.category.has_callback_url,
            http_hosts=summary.http_hosts,
        ),
        children=await _read_child_jobs(work, summary),
    )


async def _read_child_jobs(work: StepContext, summary: DefinitionSummary) -> tuple[str, ...]:
    job = work.job
    children = sorted(summary.children - {job.original.id})
    ids = [derive_flow_job_id(job.environment_id, child, job.policy_id) for child in children]
    return tuple(
        child.id for child in await work.read_related_jobs(ids) if child.migration_method.has_copy
    )


async def _describe_changes(work: StepContext, original: OriginalFlow) -> str:
    try:
        copied = (await work.services.archive.get(build_definition_archive_name(work.job))).decode()
    except NotFound:
        return ""
    places = find_changed_paths(copied, original.client_data)
    return f" Changed parts: {', '.join(places)}." if places else ""
