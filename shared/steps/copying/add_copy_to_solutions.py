"""Put a copy into the solutions of its original, so that it is exported and released with them."""

from collections.abc import Collection, Mapping

from shared.domain.environment import Environment
from shared.domain.solution import Solution, solutions_for_copy
from shared.errors import JobBlocked
from shared.reason import Reason
from shared.services import Services
from shared.steps.copying.solutions_and_shares import SolutionsAndShares
from shared.steps.flows.effect import Effect, Refusal, Reply, Write, apply
from shared.steps.step_context import StepContext


async def place_copy(work: StepContext, belonging: SolutionsAndShares) -> None:
    """Let the copy join every unmanaged solution that holds the original, as it was just read.

    Raises `JobBlocked` if the platform refuses that, or does not keep it. A flow in no solution has
    nothing to join: where the environment makes new flows in a solution, the platform sees to it.
    """
    job = work.job
    if not job.in_solution:
        return
    in_all = Effect(
        title=f"The copy of {job.display_name} in its solutions",
        read=lambda: _missing(work),
        missing=lambda missing: [_joining(work, one) for one in missing],
        not_kept=lambda missing: _blocked(
            f"The platform accepted the copy of {job.display_name} into the solution "
            f"{missing[0].title}, but it is not in it.",
            missing[0],
        ),
    )
    await apply(work, in_all, seen=await _left(work, belonging.solutions))


async def solutions_to_join(
    services: Services, environment: Environment, workflow_ids: Collection[str]
) -> dict[str, list[Solution]]:
    """Return the solutions that the copy of each of these flows joins."""
    held = await services.solutions.containing(environment, workflow_ids)
    found = await _described(services, environment, {one for ids in held.values() for one in ids})
    return {flow: [one for one in found if one.id in held[flow]] for flow in workflow_ids}


async def _missing(work: StepContext) -> list[Solution]:
    """Look at both flows in one call: what holds the original alone is what is missing."""
    flows = [work.job.original_id, work.job.copy_id]
    return await _left(work, await work.services.solutions.containing(work.environment, flows))


async def _left(work: StepContext, held: Mapping[str, frozenset[str]]) -> list[Solution]:
    original, copy = work.job.original_id, work.job.copy_id
    return await _described(work.services, work.environment, held[original] - held[copy])


async def _described(
    services: Services, environment: Environment, solution_ids: Collection[str]
) -> list[Solution]:
    if not solution_ids:
        return []
    return solutions_for_copy(await services.solutions.get(environment, solution_ids))


def _joining(work: StepContext, solution: Solution) -> Write:
    async def refused(err: Refusal) -> Reply:
        title = work.job.display_name
        text = f"The copy of {title} cannot join the solution {solution.title}: {err}"
        return _blocked(text, solution)

    solutions, copy_id = work.services.solutions, work.job.copy_id
    return Write(
        permit=work.check_write_allowed,
        call=lambda: solutions.add_flow(work.environment, solution, copy_id),
        on_refusal=refused,
    )


def _blocked(reason: str, solution: Solution) -> JobBlocked:
    return JobBlocked(
        reason,
        instruction=f"Add the copy to the solution {solution.title} by hand (Solutions → Add "
        "existing → Automation → Cloud flow), or give the app's application user the role System "
        "Administrator; then retry.",
        code=Reason.SOLUTION_REJECTED,
    )
