"""Once a day: look at every environment under a policy, and at what got stuck."""

import logging
from dataclasses import dataclass

from shared.domain.environment import Environment
from shared.domain.flow import FlowState
from shared.domain.job import FlowJob, JobState
from shared.domain.remediation import Origin, RemediationMode
from shared.errors import NotFound, Permanent, Transient
from shared.ports import Condition
from shared.services import (
    ENVIRONMENT_JOBS,
    FLOW_JOBS,
    KEY_EVENTS,
    PARKED,
    POLICY_EVENTS,
    Services,
)
from shared.steps.discovery_parts import forget_stale_discoveries
from shared.steps.find_callers import forget_stale_searches
from shared.steps.note_callers import waits_for_a_person
from shared.use_cases.decide_plan import retry_job
from shared.use_cases.react_to_key_event import verify_policy
from shared.use_cases.start_remediation import StartRemediation, start_remediation

log = logging.getLogger(__name__)

QUEUES = (KEY_EVENTS, POLICY_EVENTS, ENVIRONMENT_JOBS, FLOW_JOBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep found."""

    environments: int
    parked: int
    dead_letters: dict[str, int]
    #: Titles of retired originals that are on again.
    came_back: tuple[str, ...]
    retried: int


async def sweep(services: Services, date: str) -> SweepResult:
    """Sweep every linked environment once a `date`, and report what waits for a person."""
    await forget_stale_discoveries(services)
    await forget_stale_searches(services)
    environments = await services.environments.list()
    for policy in await services.keys.policies():
        await verify_policy(services, policy, environments, services.now)
    linked = [env for env in environments if env.is_linked]
    came_back: list[str] = []
    for environment in linked:
        came_back += await _retired_but_on(services, environment.id)
        # An environment is its own remediation: what blocks one does not hold up the others.
        await start_remediation(
            services,
            StartRemediation(
                mode=RemediationMode.APPLY,
                origin=Origin.SWEEP,
                cause=f"{date}/{environment.id}",
                environment_ids=(environment.id,),
            ),
        )
    result = SweepResult(
        environments=len(linked),
        parked=await services.messages.count(PARKED),
        dead_letters={
            queue: await services.messages.count(queue, dead_letters=True) for queue in QUEUES
        },
        came_back=tuple(came_back),
        retried=await _retry_network_gaps(services) + await _retry_changed_callers(services),
    )
    if result.parked or any(result.dead_letters.values()):
        log.error(
            "%s messages are parked and %s dead: read them and the reason on each",
            result.parked,
            sum(result.dead_letters.values()),
        )
    for title in came_back:
        log.error("the retired original %s is on again: turn it off, or roll its job back", title)
    return result


async def _retired_but_on(services: Services, environment_id: str) -> list[str]:
    where = [Condition("state", "eq", JobState.RETIRED)]
    retired = await services.tables.jobs.all(environment_id, where=where)
    if not retired:
        return []
    environment = await services.environments.get(environment_id)
    found, without_row = [], []
    for job in retired:
        state = await _state_in_dataverse(services, environment, job)
        if state is None:
            without_row.append(job)
        elif state is FlowState.ON:
            found.append(job.display_name)
    return found + await _on_in_flow_service(services, environment, without_row)


async def _state_in_dataverse(
    services: Services, environment: Environment, job: FlowJob
) -> FlowState | None:
    if environment.dataverse_url is None:
        return None
    try:
        return (await services.workflows.get(environment, job.original_id)).state
    except NotFound:
        return None


async def _on_in_flow_service(
    services: Services, environment: Environment, jobs: list[FlowJob]
) -> list[str]:
    """Name those that are on and that Dataverse has no row of: one list tells of them all.

    A service that is busy holds up no sweep: tomorrow's looks again.
    """
    if not jobs:
        return []
    try:
        listed = await services.flow_reports.list_flows(environment.id)
        states = {flow.flow_name: flow.state for flow in listed}
        for job in jobs:
            if job.flow_name in states and states[job.flow_name] is None:  # a list may be bare
                detail = await services.flow_reports.get_flow(environment.id, job.flow_name)
                states[job.flow_name] = detail.state
    except (Transient, NotFound) as err:
        log.warning(
            "whether %s retired originals of %s are on again is not known: %s",
            len(jobs),
            environment.display_name,
            err,
        )
        return []
    return [job.display_name for job in jobs if states.get(job.flow_name) is FlowState.ON]


async def _retry_network_gaps(services: Services) -> int:
    """A firewall may have been opened since: the check is repeated."""
    where = [Condition("code", "eq", "network_gap")]
    jobs = await services.tables.jobs.all(where=where)
    for job in jobs:
        await retry_job(services, job)
    return len(jobs)


async def _retry_changed_callers(services: Services) -> int:
    """A person may have changed the caller since, and need not tell: the job goes on by itself."""
    where = [Condition("code", "eq", "manual_caller")]
    count = 0
    for job in await services.tables.jobs.all(where=where):
        try:
            if await waits_for_a_person(services, job):
                continue
        except Permanent:
            continue  # it cannot be read: the job says so already
        await retry_job(services, job)
        count += 1
    return count
