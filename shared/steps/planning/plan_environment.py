"""Make a plan for an environment as it is now: which flows stay, who calls them, and what the app
will do.
"""

from shared.domain.environment import Environment
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob
from shared.errors import JobBlocked, NotFound
from shared.jobs.leased_job import LeasedJob
from shared.reason import Reason
from shared.services import Services
from shared.steps.planning.discover_flows import discover_flows
from shared.steps.planning.hidden_definitions import HiddenDefinitions
from shared.steps.planning.make_plan import make_plan
from shared.steps.updating_callers.find_callers import CallerSearchRequest, find_callers


async def plan_now(
    held: LeasedJob[EnvironmentJob], environment: Environment, *, is_limited: bool = True
) -> tuple[list[PlanItem], tuple[str, ...]]:
    """Discover the flows, search for callers, and make a plan. Return its items and findings."""
    services, job = held.services, held.job
    is_first = job.state is EnvironmentJobState.DISCOVERING
    hidden = HiddenDefinitions(held)
    await hidden.revoke_grants()
    found = await discover_flows(
        services,
        environment,
        held.open_rows(services.tables.discovery_pages),
        hidden,
        # Once is enough: an approval is compared with the list and with Dataverse only.
        reconcile=job.compare_all_flows and is_first,
        again=not is_first,
        advanced=held.record_progress,
    )
    request = CallerSearchRequest(
        environment=environment,
        everywhere=await services.environments.list(),
        is_home_read=True,
    )
    not_searched = await find_callers(
        services, request, held.open_rows(services.tables.caller_searches)
    )
    items, findings = await make_plan(services, job, found, is_limited=is_limited)
    return items, (*findings, *not_searched)


async def read_environment_of_job(services: Services, job: EnvironmentJob) -> Environment:
    """Return the environment of a job as it is now. Raises `JobBlocked` if it does not exist."""
    try:
        return await services.environments.get(job.environment_id)
    except NotFound as err:
        raise JobBlocked(
            f"There is no environment {job.environment_id}.",
            fix="Check the id, and whether the app may read the environment.",
            code=Reason.ENVIRONMENT_NOT_FOUND,
        ) from err
