"""Assess an environment in the background: for as many flows as it has, and whoever asks for it.

The order is a remediation of one environment that plans nothing. Its environment job reads page by
page, so it shows its progress, survives a process that dies, and ends with an answer.
"""

import uuid
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.domain.assessment.assessment import EnvironmentAssessment
from shared.domain.environment import Environment
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.transitions import move_to_state
from shared.domain.plans.assessment_request import AssessmentRequest
from shared.domain.plans.remediation import (
    EnvironmentJob,
    Remediation,
    RemediationMode,
    StartSource,
    environment_job_id,
)
from shared.domain.principal import Principal
from shared.domain.shared_snapshot import SharedSnapshot
from shared.errors import AlreadyExists, Conflict, NotFound
from shared.jobs.leased_job import LeasedJob
from shared.rows import type_adapter_for
from shared.services import Services
from shared.steps.assessing.read_flow_facts import FlowReadResult
from shared.steps.assessing.read_flow_parts import read_flow_parts
from shared.steps.optional_read import patience_of_a_delivery
from shared.steps.planning.plan_environment import environment_of
from shared.use_cases.assess import assess, named_policy
from shared.use_cases.start_remediation import start_remediation

_TOPIC = "assessments"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAssessment:
    """An assessment that was ordered."""

    remediation: Remediation
    job: EnvironmentJob
    #: None: it has not come to its end.
    answer: EnvironmentAssessment | None


async def start_assessment(
    services: Services, environment_id: str, request: AssessmentRequest, principal: Principal
) -> Remediation:
    """Start an assessment, or return the one that runs of the same environment and request.

    Raises `NotFound` for an unknown environment or policy.
    """
    environment = await services.environments.get(environment_id)
    await named_policy(services, environment, request.policy)
    order = Remediation(
        mode=RemediationMode.ASSESS,
        origin=StartSource.API_REQUEST,
        cause=f"assessment {uuid.uuid4()}",
        created=services.now,
        environment_ids=(environment_id,),
        assessment=request,
        started_by=principal.name,
        started_by_id=principal.id,
    )
    # The row names the order before it starts: of two who ask at once, both start the same one.
    cause = await _running(services, order, f"{environment_id}-{request.digest}")
    return await start_remediation(services, replace(order, cause=cause))


async def _running(services: Services, order: Remediation, key: str) -> str:
    """Return the cause of the order that runs under a key: from now on this one, if none does."""
    readings = services.tables.shared_snapshots
    while True:
        kept = await readings.get(_TOPIC, key)
        if kept and not await _is_over(services, replace(order, cause=kept.item.archive_name)):
            return kept.item.archive_name
        row = SharedSnapshot(topic=_TOPIC, id=key, archive_name=order.cause)
        with suppress(Conflict, AlreadyExists):
            await (readings.replace(kept, row) if kept else readings.insert(row))


async def _is_over(services: Services, order: Remediation) -> bool:
    (environment_id,) = order.environment_ids
    place = (order.id, environment_job_id(order.id, environment_id))
    kept = await services.tables.environment_jobs.get(*place)
    return kept is not None and kept.item.is_inactive


async def show_assessment(services: Services, remediation_id: str) -> ShownAssessment:
    """Return an assessment that was ordered, and its answer; raises `NotFound`."""
    kept = await services.tables.remediations.get("remediation", remediation_id)
    if kept is None or kept.item.assessment is None:
        raise NotFound(f"There is no assessment {remediation_id}.")
    remediation = kept.item
    (environment_id,) = remediation.environment_ids
    job_id = environment_job_id(remediation_id, environment_id)
    found = await services.tables.environment_jobs.get(remediation_id, job_id)
    if found is None:
        raise NotFound(f"Assessment {remediation_id} has not started yet: ask again.")
    answer = None
    if name := found.item.answer:
        answer = type_adapter_for(EnvironmentAssessment).validate_json(
            await services.archive.get(name)
        )
    return ShownAssessment(remediation=remediation, job=found.item, answer=answer)


async def make_assessment(held: LeasedJob[EnvironmentJob]) -> EnvironmentJob:
    """Go on with an assessment; returns its job when the answer is kept."""
    services = held.services
    if not held.job.answer:
        found = await _assess(held, await environment_of(services, held.job))
        content = type_adapter_for(EnvironmentAssessment).dump_json(found)
        name = f"assessments/{held.job.id}"
        await services.archive.put(name, content)
        # Before the pages are gone: whoever dies then reads none of them again.
        await held.save(replace(held.job, answer=name))
    await held.rows(services.tables.discovery_pages).clear()
    text = "The assessment is made; nothing was written."
    return move_to_state(held.job, EnvironmentJobState.COMPLETED, text, now=services.now)


async def _assess(
    held: LeasedJob[EnvironmentJob], environment: Environment
) -> EnvironmentAssessment:
    services, request = held.services, held.job.assessment
    assert request is not None
    held.stage(replace(held.job, environment_name=environment.display_name))
    flows = await read_flow_parts(held, environment)

    async def read(_services: Services, _environment: Environment) -> FlowReadResult:
        return flows

    with patience_of_a_delivery():
        return await assess(
            services,
            environment.id,
            policy=request.policy,
            key=(request.vault, request.key) if request.key else None,
            callers_since=request.callers_since,
            read=read,
        )
