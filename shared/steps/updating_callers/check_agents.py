"""Check that a person has confirmed a change of agents, which the app cannot read."""

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
    """Raise `JobBlocked` if agents may still run the original and nobody has confirmed that they
    run the copy.
    """
    name = confirmation_name_for_copy(work.job.original_id)
    if _is_run_by_agents(work.job) and name not in await _read_confirmations(work):
        raise JobBlocked(
            f"Agents of Copilot Studio may still run {work.job.display_name}.",
            fix=f"{BY_THEIR_MAKERS} Then confirm it: {_confirm_command(work, name)}.",
            code=Reason.AGENTS_NOT_CONFIRMED,
        )


async def check_agents_back(work: StepContext) -> None:
    """Raise `JobBlocked` if agents were confirmed to run the copy and nobody has confirmed that
    they left it.
    """
    confirmed, name = (
        await _read_confirmations(work),
        confirmation_name_for_original(work.job.original_id),
    )
    if confirmation_name_for_copy(work.job.original_id) in confirmed and name not in confirmed:
        raise JobBlocked(
            f"Agents of Copilot Studio run the copy of {work.job.display_name}.",
            fix=(
                "Ask their makers to choose the original again in each agent, and to publish it. "
                f"Then confirm it: {_confirm_command(work, name)}."
            ),
            code=Reason.AGENTS_NOT_CONFIRMED,
        )


async def forget_agents(work: StepContext) -> None:
    """Remove the confirmations, so that another remediation of the flow asks again."""
    job, table = work.job, work.services.tables.environment_settings
    names = {
        confirmation_name_for_copy(job.original_id),
        confirmation_name_for_original(job.original_id),
    }
    if not names & (await _read_confirmations(work)).keys():
        return

    def without_confirmations(old: EnvironmentSettings | None) -> EnvironmentSettings | None:
        if old is None:
            return None
        left = {name: why for name, why in old.ignored_issues.items() if name not in names}
        return replace(old, ignored_issues=left)

    await table.change("environment", job.environment_id, without_confirmations)


def _is_run_by_agents(job: FlowJob) -> bool:
    return (
        job.migration_method is MigrationMethod.UPDATE_CALLERS
        and TriggerCategory(job.category).is_run_by_agents
    )


async def _read_confirmations(work: StepContext) -> dict[str, str]:
    return (await work.read_settings()).ignored_issues


def _confirm_command(work: StepContext, name: str) -> str:
    return (
        f"cmkflow environment ignore {work.job.environment_id} {name} --justification 'who says so'"
    )
