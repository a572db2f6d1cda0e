"""Ask whether agents were moved before the flow that they run goes off: nothing shows it."""

from dataclasses import replace

from shared.domain.callers.agents import (
    BY_THEIR_MAKERS,
    confirmation_name_for_copy,
    confirmation_name_for_original,
)
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import EnvironmentSettings
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.steps.step_context import StepContext


async def check_agents(work: StepContext) -> None:
    """Return if nobody's agents run the original, or somebody has said that they run the copy.

    Raises `JobBlocked`.
    """
    name = confirmation_name_for_copy(work.job.original_id)
    if _is_run_by_agents(work.job) and name not in await _said(work):
        raise JobBlocked(
            f"Agents of Copilot Studio may still run {work.job.display_name}.",
            instruction=f"{BY_THEIR_MAKERS} Then say so: {_by(work, name)}.",
            code=Reason.AGENTS_NOT_CONFIRMED,
        )


async def check_agents_back(work: StepContext) -> None:
    """Return if agents were never said to run the copy, or are said to have left it.

    Raises `JobBlocked`.
    """
    said, name = await _said(work), confirmation_name_for_original(work.job.original_id)
    if confirmation_name_for_copy(work.job.original_id) in said and name not in said:
        raise JobBlocked(
            f"Agents of Copilot Studio run the copy of {work.job.display_name}.",
            instruction="Their makers choose the original in them again, and publish them. Then say"
            f" so: {_by(work, name)}.",
            code=Reason.AGENTS_NOT_CONFIRMED,
        )


async def forget_agents(work: StepContext) -> None:
    """Forget what was said: another remediation of the flow asks anew."""
    job, table = work.job, work.services.tables.environment_settings
    names = {
        confirmation_name_for_copy(job.original_id),
        confirmation_name_for_original(job.original_id),
    }
    if not names & (await _said(work)).keys():
        return

    def forgotten(old: EnvironmentSettings | None) -> EnvironmentSettings | None:
        if old is None:
            return None
        left = {name: why for name, why in old.ignored_issues.items() if name not in names}
        return replace(old, ignored_issues=left)

    await table.change("environment", job.environment_id, forgotten)


def _is_run_by_agents(job: FlowJob) -> bool:
    return (
        job.pattern is MigrationMethod.UPDATE_CALLERS
        and TriggerCategory(job.category).is_run_by_agents
    )


async def _said(work: StepContext) -> dict[str, str]:
    return (await work.read_settings()).ignored_issues


def _by(work: StepContext, name: str) -> str:
    return (
        f"cmkflow environment ignore {work.job.environment_id} {name} --justification 'who says so'"
    )
