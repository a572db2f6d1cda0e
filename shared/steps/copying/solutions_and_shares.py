"""Read an original together with its shares and the solutions of both flows."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.concurrency import run_concurrently
from shared.domain.sharing import Share
from shared.errors import NotFound
from shared.steps.flows.original import OriginalFlow, read_original
from shared.steps.step_context import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionsAndShares:
    """The solutions of an original and its copy, and the shares of the original.

    All are empty for an original outside solutions, whose shares are only in the flow service.
    """

    #: Ids of the solutions that contain each of the two flows, by workflow id.
    solutions: Mapping[str, frozenset[str]]
    #: The shares of the original.
    shares: tuple[Share, ...] = ()


async def read_solutions_and_shares(work: StepContext) -> SolutionsAndShares:
    """Return the solutions of original and copy, and the shares of the original."""
    job, services, home = work.job, work.services, work.environment
    if not job.original.in_solution:
        return SolutionsAndShares(solutions={})
    flows = [job.original.id, job.copy.id]
    async with run_concurrently() as reads:
        solutions = reads.create_task(services.solutions.read_solution_ids(home, flows))
        shares = reads.create_task(_read_shares(work))
    return SolutionsAndShares(solutions=solutions.result(), shares=shares.result())


async def _read_shares(work: StepContext) -> tuple[Share, ...]:
    try:
        return tuple(await work.services.flow_sharing.list(work.environment, work.job.original.id))
    except NotFound:
        return ()  # reading the original reports that it is gone


async def read_original_with_solutions_and_shares(
    work: StepContext,
) -> tuple[OriginalFlow, SolutionsAndShares]:
    """Return the original with its solutions and shares.

    Raises `JobBlocked` if it no longer exists.
    """
    async with run_concurrently() as reads:
        original = reads.create_task(read_original(work))
        belonging = reads.create_task(read_solutions_and_shares(work))
    return original.result(), belonging.result()
