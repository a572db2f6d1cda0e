"""Assess an environment: read only, before or after a key is applied to it."""

from dataclasses import replace

from shared.domain.assessment import AssessedFlow, EnvironmentAssessment
from shared.domain.assessment_effort import Rates
from shared.domain.assessment_facts import NoAnswer
from shared.domain.assessment_flows import assess_flows
from shared.domain.assessment_report import assessment_of
from shared.domain.environment import Environment
from shared.domain.key import EnterprisePolicy
from shared.errors import NotFound
from shared.services import Services
from shared.steps.ask import ask
from shared.steps.collect_assessment_facts import Question, collect
from shared.steps.find_assessed_callers import find_assessed_callers, with_canvas_apps


async def assess(
    services: Services, environment_id: str, *, policy: str = ""
) -> EnvironmentAssessment:
    """Return all that is to be known; raises `NotFound` for a strange environment or policy.

    `policy` is the name or the Azure resource id of the policy that is to be applied; without it
    the environment's own counts, if it has one.
    """
    environment = await services.environments.get(environment_id)
    everywhere = tuple(await services.environments.list())
    question = Question(
        environment=environment,
        everywhere=everywhere,
        policy=await _policy(services, environment, policy),
    )
    facts = await collect(services, question)
    flows = await find_assessed_callers(services, environment, everywhere, assess_flows(facts))
    flows = await _with_owners(services, environment, with_canvas_apps(flows, facts.canvas_apps))
    settings = services.settings
    rates = Rates(
        flow_service_calls_per_minute=settings.flow_service_calls_per_minute,
        quiet_period=settings.quiet_period,
    )
    return assessment_of(facts, flows, rates)


async def _policy(
    services: Services, environment: Environment, named: str
) -> EnterprisePolicy | None:
    wanted = named.lower() or (environment.policy.policy_id if environment.policy else "")
    if not wanted:
        return None
    policies = await ask(services.keys.policies())
    for policy in () if isinstance(policies, NoAnswer) else policies:
        if wanted in {policy.id.lower(), policy.name.lower()}:
            return policy
    if named:
        raise NotFound("There is no such encryption policy in the watched subscriptions.")
    return None


async def _with_owners(
    services: Services, environment: Environment, flows: list[AssessedFlow]
) -> list[AssessedFlow]:
    """Put names where Dataverse knows them; an id is left as it is."""
    ids = sorted({flow.owner for flow in flows if flow.owner})
    if not ids or environment.dataverse_url is None:
        return flows
    names = await ask(services.assessment.organization.names(environment, ids))
    if isinstance(names, NoAnswer):
        return flows
    return [replace(flow, owner=names.get(flow.owner, flow.owner)) for flow in flows]
