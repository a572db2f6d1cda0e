"""Prepare an original so that it needs no copy: add it to a solution, or convert its definition.

The definition is archived before it is changed, so that a rollback can restore it.
"""

from dataclasses import replace
from typing import NoReturn

from shared.domain.conversions.conversion import has_same_actions
from shared.domain.conversions.preview import convert_definition
from shared.domain.definitions.comparison import hash_definition, is_same_definition
from shared.domain.definitions.lost_references import with_lost_references
from shared.domain.flow import Workflow, WorkflowUpdate
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.transitions import move_to_state
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.steps.flows.effect import Effect, Write, apply_effect
from shared.steps.flows.original import read_original
from shared.steps.flows.plans_in_progress import was_plan_cancelled
from shared.steps.flows.read_back import WriteNotVisible
from shared.steps.flows.read_original_facts import build_definition_archive_name
from shared.steps.flows.update_workflow import build_flow_write
from shared.steps.flows.write_definition import (
    SavedFlow,
    archive_or_restore_references,
    build_definition_save,
    is_stored_definition,
    read_demands_newer_shape,
)
from shared.steps.preparing.add_to_solution import add_to_solution, read_workflow_id_in_solution
from shared.steps.step_context import StepContext
from shared.steps.write_permission import require_flow_not_excluded

STAYS_IN_SOLUTION = "It stays in the solution, because no API removes it."


async def start_preparing(work: StepContext) -> FlowJob:
    """Return the job in state preparing if the plan still applies.

    Returns it as cancelled if its plan was cancelled. First archives a definition that will be
    converted. Raises `JobBlocked` if it was edited.
    """
    if await was_plan_cancelled(work):
        text = "The remediation was cancelled while its flow jobs were created."
        return move_to_state(work.job, FlowJobState.CANCELLED, text, now=work.services.now)
    require_flow_not_excluded(await work.read_settings(), work.job)
    if work.job.migration_method is MigrationMethod.EDIT_DEFINITION:
        original = await read_original(work)
        text = await archive_or_restore_references(
            work, work.job.environment_id, original.workflow_id, original.client_data
        )
        if work.job.original.digest not in {"", hash_definition(text)}:
            _raise_original_edited(work.job)
        await _archive_definition(work, text)
    await work.require_write_allowed()
    text = "The plan still applies. The app is preparing the flow."
    return move_to_state(work.job, FlowJobState.PREPARING, text, now=work.services.now)


async def make_planned_preparation(work: StepContext) -> FlowJob:
    """Convert the definition, or add the flow to a solution, and read the change back.

    Raises `MustWait` until the platform has added the flow.
    """
    job = work.job
    workflow_id = job.original.id if job.original.in_solution else await add_to_solution(work)
    text = "It is in a solution, so the platform moves it to the customer-managed key."
    if job.migration_method is MigrationMethod.EDIT_DEFINITION:
        await _convert_definition(work, workflow_id)
        text = (
            "Its definition was changed to V2, so the platform moves it to the customer-managed "
            "key."
        )
    return move_to_state(work.job, FlowJobState.PREPARED, text, now=work.services.now)


async def roll_back_preparation(work: StepContext) -> FlowJob:
    """Restore the archived definition if the flow still has the converted one."""
    job = work.job
    workflow_id: str | None = job.original.id
    text = "Rolled back: the flow has its original definition."
    if not job.original.in_solution:
        workflow_id = await read_workflow_id_in_solution(work)
        text = f"{text} {STAYS_IN_SOLUTION}" if workflow_id else text
    if job.migration_method is MigrationMethod.EDIT_DEFINITION and workflow_id:
        await _restore_archived_definition(work, workflow_id)
    job = replace(work.job, requested_command=None, solution_requested_at=None)
    return move_to_state(job, FlowJobState.ROLLED_BACK, text, now=work.services.now)


async def _convert_definition(work: StepContext, workflow_id: str) -> None:
    row = await work.services.workflows.get(work.environment, workflow_id)
    archived, edits = await _read_archived_definition(work), work.job.conversions
    if is_stored_definition(row.client_data, convert_definition(archived, edits).client_data):
        return
    before = _with_lost_references_of(row, archived)
    if not is_same_definition(before, archived):
        if work.job.original.in_solution or not has_same_actions(before, archived):
            _raise_original_edited(work.job)
        await _archive_definition(work, before)  # adding it to a solution renamed its connections
    conversion = convert_definition(before, edits)
    if conversion.obstacles:
        raise JobBlocked(
            f"{work.job.display_name} cannot be converted safely. {' '.join(conversion.obstacles)}",
            code=Reason.CONVERSION_NOT_POSSIBLE,
        )
    await _write_definition(work, row, conversion.client_data, before=before)


async def _restore_archived_definition(work: StepContext, workflow_id: str) -> None:
    row = await work.services.workflows.get(work.environment, workflow_id)
    archived, edits = await _read_archived_definition(work), work.job.conversions
    before = _with_lost_references_of(row, archived)
    if convert_definition(before, edits).client_data != before:
        _require_current_read(work)
        if before != row.client_data:
            await _write_definition(work, row, before, before=before)
        return  # it is V1: nothing was written, or it was restored
    if not is_stored_definition(before, convert_definition(archived, edits).client_data):
        raise JobBlocked(
            f"{work.job.display_name} was edited after it was converted to V2.",
            fix=(
                "Restore the parts that you need yourself, then retry. The original definition: "
                f"{work.job.archive_name}"
            ),
            code=Reason.CONVERTED_FLOW_EDITED,
        )
    await _write_definition(work, row, archived, before=before)


async def _read_archived_definition(work: StepContext) -> str:
    return (await work.services.archive.get(build_definition_archive_name(work.job))).decode()


def _with_lost_references_of(row: Workflow, archived: str) -> str:
    return with_lost_references(archived, row.client_data)


def _require_current_read(work: StepContext) -> None:
    """Raise `WriteNotVisible` while a read may be older than writes before the rollback."""
    services = work.services
    begun = max(
        one.changed_at for one in work.job.history if one.state == FlowJobState.ROLLING_BACK
    )
    until = begun + services.settings.read_lag
    if services.now < until:
        what = f"The original definition of {work.job.display_name}"
        raise WriteNotVisible(services, what, since=begun, until=until)


async def _write_definition(
    work: StepContext, row: Workflow, client_data: str, *, before: str
) -> None:
    """Save the definition and read it back. `before` is the definition before the save, with all
    references.
    """
    job, workflows, environment = work.job, work.services.workflows, work.environment

    async def read_flow() -> Workflow:
        return await workflows.get(environment, row.workflow_id)

    async def read_definition() -> str:
        return (await read_flow()).client_data

    flow = SavedFlow(
        title=f"flow {job.display_name}",
        environment_id=job.environment_id,
        before=before,
        read=read_definition,
        write_of=lambda text: build_flow_write(work, row, WorkflowUpdate(client_data=text)),
        newer_shape_first=await read_demands_newer_shape(work.services, job.environment_id),
    )

    def list_missing_writes(now: Workflow) -> list[Write]:
        is_written = is_stored_definition(now.client_data, client_data) and now.state is row.state
        return [] if is_written else [build_definition_save(work, flow, client_data)]

    def build_not_kept_error(now: Workflow) -> JobBlocked:
        if not is_stored_definition(now.client_data, client_data):
            return JobBlocked(
                f"The platform stored {job.display_name} differently from what was sent.",
                fix="Compare the flow with its archived definition in Power Automate, save "
                f"it as it should be, then retry. Archive: {work.job.archive_name}",
                code=Reason.CONVERSION_DIFFERS,
            )
        return JobBlocked(
            f"{job.display_name} was {row.state} and is {now.state} since its definition was "
            "changed.",
            fix=f"Turn the flow {row.state} in Power Automate, then retry.",
            code=Reason.FLOW_STATE_NOT_CHANGED,
        )

    title = f"The definition of {job.display_name}"
    written = Effect(
        title=title, read=read_flow, missing=list_missing_writes, not_kept=build_not_kept_error
    )
    await apply_effect(work, written, seen=row)


async def _archive_definition(work: StepContext, client_data: str) -> None:
    job = replace(
        work.job, original=replace(work.job.original, digest=hash_definition(client_data))
    )
    where = await work.services.archive.put(
        build_definition_archive_name(job), client_data.encode()
    )
    await work.save(replace(job, archive_name=where))


def _raise_original_edited(job: FlowJob) -> NoReturn:
    raise JobBlocked(
        f"{job.display_name} was edited after it was planned.",
        fix="Check the edit, then retry: the app converts the definition as it is now.",
        code=Reason.ORIGINAL_EDITED,
    )
