"""Assess an environment in the background, however many flows it has.

The assessment is a remediation of one environment that makes no plan. Its environment job reads
page by page, continues after a crash, and stores the result.
"""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.assessment.assessment import EnvironmentAssessment
from shared.domain.assessment.snapshots import NoAnswer
from shared.domain.environment import Environment
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import move_to_state
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.flow_facts import FlowFacts
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    StartSource,
    build_environment_job_id,
)
from shared.domain.principal import Principal
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import AlreadyExists, Conflict, InvalidInput, NotFound, PlatformError
from shared.jobs.leased_job import LeasedJob
from shared.services import Services
from shared.state.rows import get_type_adapter
from shared.steps.assessing.read_flow_facts import FlowReadResult
from shared.steps.assessing.read_flow_parts import read_and_store_trigger_url_ids, read_flow_parts
from shared.steps.assessing.read_power_apps import read_power_apps_parts
from shared.steps.flows.check_network import NetworkView, read_network
from shared.steps.optional_read import allow_longer_reads
from shared.steps.planning.plan_environment import read_environment_of_job
from shared.steps.updating_callers.search_callers import CallerSearchResult, search_callers
from shared.use_cases.assess import assess_environment, read_named_policy
from shared.use_cases.start_remediation import start_remediation

#: Topic of the rows that name the last assessment of an environment and a request.
TOPIC = "assessments"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentView:
    """An assessment in the background, with its result if it is complete."""

    remediation: Remediation
    job: EnvironmentJob
    #: None if it is not complete.
    answer: EnvironmentAssessment | None


async def start_assessment(
    services: Services, environment_id: str, request: AssessmentRequest, principal: Principal
) -> Remediation:
    """Return the assessment in progress for an environment and request, or start one.

    Raises `NotFound` for an unknown environment or policy.
    """
    environment = await services.environments.get(environment_id)
    await read_named_policy(services, environment, request.policy)
    started = Remediation(
        mode=RemediationMode.ASSESS,
        start_source=StartSource.API_REQUEST,
        idempotency_key=f"assessment {uuid.uuid4()}",
        created_at=services.now,
        environment_ids=(environment_id,),
        assessment=request,
        started_by=principal.name,
        started_by_id=principal.id,
    )
    # The row names the remediation before it starts, so that concurrent requests start the same
    # one.
    cause = await _claim_idempotency_key(services, started, f"{environment_id}-{request.digest}")
    return await start_remediation(services, replace(started, idempotency_key=cause))


async def _claim_idempotency_key(services: Services, started: Remediation, key: str) -> str:
    """Return the idempotency key of the assessment in progress, or else of `started`.

    `key` names the environment and the request.
    """
    readings = services.tables.shared_snapshots
    while True:
        kept = await readings.get(TOPIC, key)
        if kept and not await _is_assessment_over(
            services, replace(started, idempotency_key=kept.item.archive_name)
        ):
            return kept.item.archive_name
        row = SharedSnapshot(topic=TOPIC, id=key, archive_name=started.idempotency_key)
        with suppress(Conflict, AlreadyExists):
            await (readings.replace(kept, row) if kept else readings.insert(row))


async def _is_assessment_over(services: Services, started: Remediation) -> bool:
    (environment_id,) = started.environment_ids
    place = (started.id, build_environment_job_id(started.id, environment_id))
    kept = await services.tables.environment_jobs.get(*place)
    return kept is not None and kept.item.is_inactive


async def show_assessment(services: Services, remediation_id: str) -> AssessmentView:
    """Return an assessment with its result. Raises `NotFound` if it does not exist."""
    kept = await services.tables.remediations.get("remediation", remediation_id)
    if kept is None or kept.item.assessment is None:
        raise NotFound(f"No assessment {remediation_id}.")
    remediation = kept.item
    (environment_id,) = remediation.environment_ids
    job_id = build_environment_job_id(remediation_id, environment_id)
    found = await services.tables.environment_jobs.get(remediation_id, job_id)
    if found is None:
        raise NotFound(f"Assessment {remediation_id} has not started yet. Try again.")
    answer = None
    if name := found.item.answer:
        answer = get_type_adapter(EnvironmentAssessment).validate_json(
            await services.archive.get(name)
        )
    return AssessmentView(remediation=remediation, job=found.item, answer=answer)


async def continue_assessment(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Continue an assessment, and return its completed job when the result is stored."""
    services = held.services
    if not held.job.answer:
        found = await _assess_in_parts(held, await read_environment_of_job(services, held.job))
        content = get_type_adapter(EnvironmentAssessment).dump_json(found)
        name = f"assessments/{held.job.id}"
        await services.archive.put(name, content)
        # Before the pages are deleted, so that they are not read again after a crash.
        await held.save(replace(held.job, answer=name))
    await held.open_rows(services.tables.discovery_pages).clear()
    await held.open_rows(services.tables.caller_searches).clear()
    text = "The assessment is complete. Nothing was changed."
    return move_to_state(held.job, EnvironmentJobState.COMPLETED, text, now=services.now)


async def _assess_in_parts(
    held: LeasedJob[EnvironmentJob], environment: Environment
) -> EnvironmentAssessment:
    services, request = held.services, held.job.assessment
    assert request is not None
    held.stage(replace(held.job, environment_name=environment.display_name))
    flows = await read_flow_parts(held, environment)
    power_apps = await read_power_apps_parts(held, environment)
    everywhere = await services.environments.list()

    async def return_read_flows(_services: Services, _environment: Environment) -> FlowReadResult:
        return flows

    async def search_for_callers(where: Sequence[Environment]) -> CallerSearchResult:
        rows = held.open_rows(services.tables.caller_searches)
        return await search_callers(services, where, since=request.callers_since, rows=rows)

    # First what may take several invocations: the rest is read in the last one alone.
    unknown_urls: dict[str, str] = {}
    network: NetworkView | None = None
    if not isinstance(flows.flows, NoAnswer) and flows.flows:
        await search_for_callers(everywhere)
        network = await _read_network_of_hosts(services, environment, flows.flows)
        unknown_urls = await read_and_store_trigger_url_ids(held, environment, flows)

    async def search_with_unknown_urls(where: Sequence[Environment]) -> CallerSearchResult:
        return replace(await search_for_callers(where), unknown_urls=unknown_urls)

    with allow_longer_reads():
        return await assess_environment(
            services,
            environment.id,
            policy=request.policy,
            key=(request.vault, request.key) if request.key else None,
            callers_since=request.callers_since,
            read=return_read_flows,
            search=search_with_unknown_urls,
            network=network,
            power_apps=power_apps,
        )


async def _read_network_of_hosts(
    services: Services, environment: Environment, flows: Mapping[str, FlowFacts]
) -> NetworkView | None:
    """Return the firewalls in front of the hosts that flows call.

    Returns None if flows call no host or the firewalls cannot be read. Raises errors that make the
    job wait.
    """
    hosts = {host for flow in flows.values() if flow.summary for host in flow.summary.http_hosts}
    if not hosts:
        return None
    try:
        return await read_network(services, environment, hosts)
    except (NotFound, PlatformError, InvalidInput):
        return None
