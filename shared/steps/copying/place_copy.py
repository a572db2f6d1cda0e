"""Put a copy into the solutions of its original, so that it is exported and released with them."""

from collections.abc import Collection, Mapping

from shared.domain.environment import Environment
from shared.domain.solution import Solution, to_join
from shared.errors import Blocked, NotFound, Refused
from shared.reason import Reason
from shared.services import Services
from shared.steps.copying.belonging import Belonging
from shared.steps.flows.read_back import read_back
from shared.steps.work import Work


async def place_copy(work: Work, belonging: Belonging) -> None:
    """Let the copy join every unmanaged solution that holds the original, as it was just read.

    Raises `Blocked` if the platform refuses that, or does not keep it. A flow in no solution has
    nothing to join: where the environment makes new flows in a solution, the platform sees to it.
    """
    job = work.job
    if not job.in_solution:
        return
    missing = await _left(work, belonging.solutions)
    for solution in missing:
        await _join(work, solution)
    if not missing:
        return
    what = f"The copy of {job.display_name} in its solutions"
    if left := await read_back(work, what, lambda: _missing(work), lambda left: not left):
        raise Blocked(
            f"The platform accepted the copy of {job.display_name} into the solution "
            f"{left[0].title}, but it is not in it.",
            instruction=_by_hand(left[0]),
            code=Reason.SOLUTION,
        )


async def solutions_to_join(
    services: Services, environment: Environment, workflow_ids: Collection[str]
) -> dict[str, list[Solution]]:
    """Return the solutions that the copy of each of these flows joins."""
    held = await services.solutions.holding(environment, workflow_ids)
    found = await _described(services, environment, {one for ids in held.values() for one in ids})
    return {flow: [one for one in found if one.id in held[flow]] for flow in workflow_ids}


async def _missing(work: Work) -> list[Solution]:
    """Look at both flows in one call: what holds the original alone is what is missing."""
    flows = [work.job.original_id, work.job.copy_id]
    return await _left(work, await work.services.solutions.holding(work.environment, flows))


async def _left(work: Work, held: Mapping[str, frozenset[str]]) -> list[Solution]:
    original, copy = work.job.original_id, work.job.copy_id
    return await _described(work.services, work.environment, held[original] - held[copy])


async def _described(
    services: Services, environment: Environment, solution_ids: Collection[str]
) -> list[Solution]:
    if not solution_ids:
        return []
    return to_join(await services.solutions.get(environment, solution_ids))


async def _join(work: Work, solution: Solution) -> None:
    await work.permit_write()
    try:
        await work.services.solutions.add_flow(work.environment, solution, work.job.copy_id)
    except (Refused, NotFound) as err:
        raise Blocked(
            f"The copy of {work.job.display_name} cannot join the solution {solution.title}: {err}",
            instruction=_by_hand(solution),
            code=Reason.SOLUTION,
        ) from err


def _by_hand(solution: Solution) -> str:
    return (
        f"Add the copy to the solution {solution.title} by hand (Solutions → Add existing → "
        "Automation → Cloud flow), or give the app's application user the role System "
        "Administrator; then retry."
    )
