"""Add a copy to the solutions of its original, so that it is exported with them."""

from collections.abc import Collection, Mapping

from shared.domain.environment import Environment
from shared.domain.solution import Solution, list_solutions_for_copy
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.copying.solutions_and_shares import SolutionsAndShares
from shared.steps.flows.effect import Effect, Refusal, Reply, Write, apply_effect
from shared.steps.step_context import StepContext


async def add_copy_to_solutions(work: StepContext, belonging: SolutionsAndShares) -> None:
    """Add the copy to those solutions of the original that take copies.

    Raises `JobBlocked` if the platform rejects or loses the change. Does nothing for an original
    outside solutions: if the environment creates flows in a solution, the platform adds the copy.
    """
    job = work.job
    if not job.original.in_solution:
        return
    in_all = Effect(
        title=f"The copy of {job.display_name} in its solutions",
        read=lambda: _read_solutions_to_join(work),
        missing=lambda missing: [_build_write(work, one) for one in missing],
        not_kept=lambda missing: _build_job_blocked(
            f"The platform accepted the copy of {job.display_name} in the solution "
            f"{missing[0].title}, but the solution does not contain the copy.",
            missing[0],
        ),
    )
    await apply_effect(
        work, in_all, seen=await _read_solutions_without_copy(work, belonging.solutions)
    )


async def read_solutions_to_join(
    services: Services, environment: Environment, workflow_ids: Collection[str]
) -> dict[str, list[Solution]]:
    """Return the solutions to which each flow's copy will be added, by workflow id."""
    held = await services.solutions.read_solution_ids(environment, workflow_ids)
    found = await _read_solutions(
        services, environment, {one for ids in held.values() for one in ids}
    )
    return {flow: [one for one in found if one.id in held[flow]] for flow in workflow_ids}


async def _read_solutions_to_join(work: StepContext) -> list[Solution]:
    flows = [work.job.original.id, work.job.copy.id]
    return await _read_solutions_without_copy(
        work, await work.services.solutions.read_solution_ids(work.environment, flows)
    )


async def _read_solutions_without_copy(
    work: StepContext, held: Mapping[str, frozenset[str]]
) -> list[Solution]:
    original, copy = work.job.original.id, work.job.copy.id
    return await _read_solutions(work.services, work.environment, held[original] - held[copy])


async def _read_solutions(
    services: Services, environment: Environment, solution_ids: Collection[str]
) -> list[Solution]:
    if not solution_ids:
        return []
    return list_solutions_for_copy(await services.solutions.get(environment, solution_ids))


def _build_write(work: StepContext, solution: Solution) -> Write:
    async def handle_error(err: Refusal) -> Reply:
        title = work.job.display_name
        text = f"The copy of {title} cannot join the solution {solution.title}: {err}"
        return _build_job_blocked(text, solution)

    solutions, copy_id = work.services.solutions, work.job.copy.id
    return Write(
        permit=work.require_write_allowed,
        call=lambda: solutions.add_flow(work.environment, solution, copy_id),
        on_refusal=handle_error,
    )


def _build_job_blocked(reason: str, solution: Solution) -> JobBlocked:
    return JobBlocked(
        reason,
        fix=(
            f"Add the copy to the solution {solution.title} (Solutions → Add existing → "
            "Automation → Cloud flow), or give the app's application user the role System "
            "Administrator. Then retry."
        ),
        code=Reason.SOLUTION_REJECTED,
    )
