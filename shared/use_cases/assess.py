"""Assess an environment before or after a key is applied, without a write to the platform."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.alerts import alert_unreadable_row, read_readable
from shared.domain.assessment.assessment import AssessedFlow, EnvironmentAssessment
from shared.domain.assessment.estimate import ProcessingRates
from shared.domain.assessment.flows import assess_flows
from shared.domain.assessment.remediated_flows import with_remediation_status
from shared.domain.assessment.report import add_canvas_app_callers, build_assessment
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.environment import Environment
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.keys.key import EnterprisePolicy
from shared.errors import NotFound, UnreadableRow
from shared.services import Services
from shared.steps.assessing.collect_assessment_facts import (
    AssessmentInput,
    collect_environment_facts,
)
from shared.steps.assessing.find_assessed_callers import (
    find_assessed_callers,
    read_callers_on_retired_host,
)
from shared.steps.assessing.read_co_owners import (
    ReadShares,
    list_principal_ids,
    read_shares,
    with_co_owners,
)
from shared.steps.assessing.read_flow_facts import FlowReadResult, read_flows
from shared.steps.assessing.read_power_apps import PowerAppsFacts
from shared.steps.flows.check_network import NetworkView
from shared.steps.flows.read_flow_jobs import read_flow_jobs
from shared.steps.optional_read import read_or_no_answer
from shared.steps.updating_callers.search_callers import CallerSearchResult, search_callers

#: Reads the flows of an environment.
type ReadsFlows = Callable[[Services, Environment], Awaitable[FlowReadResult]]
#: Searches for callers in these environments.
type SearchesCallers = Callable[[Sequence[Environment]], Awaitable[CallerSearchResult]]


async def assess_environment(
    services: Services,
    environment_id: str,
    *,
    policy: str = "",
    key: tuple[str, str] | None = None,
    callers_since: datetime | None = None,
    read: ReadsFlows = read_flows,
    search: SearchesCallers | None = None,
    network: NetworkView | None = None,
    power_apps: PowerAppsFacts | None = None,
) -> EnvironmentAssessment:
    """Return the assessment of an environment.

    `policy` is the name or Azure resource id of the policy to apply, by default the environment's
    own. `key` contains the vault (name or Azure resource id) and the name of a key that no policy
    names yet. A caller search that was made since `callers_since` is reused (`callers_searched_at`
    of another assessment). `read` reads the flows, and `search` searches for their callers.
    `network` and `power_apps` are facts that were already read. Raises `NotFound` for an unknown
    environment or policy.
    """
    environment = await services.environments.get(environment_id)
    everywhere = tuple(await services.environments.list())
    question = AssessmentInput(
        environment=environment,
        everywhere=everywhere,
        policy=await read_named_policy(services, environment, policy),
        key=key,
        network=network,
        power_apps=power_apps,
    )
    facts = await collect_environment_facts(services, question, read(services, environment))
    settings = services.settings
    rates = ProcessingRates(
        flow_service_requests_per_minute=settings.flow_service_requests_per_minute,
        flow_service_requests_per_day=settings.flow_service_requests_per_day,
        no_call_period=settings.no_call_period,
    )
    flows: list[AssessedFlow] = [*assess_flows(facts)]
    if not flows:
        return build_assessment(facts, flows, rates)
    flows = await _add_flow_job_status(services, facts, flows)
    searched, shares = await asyncio.gather(
        search(everywhere) if search else search_callers(services, everywhere, since=callers_since),
        read_shares(services, environment, flows),
    )
    flows = await find_assessed_callers(services, environment, searched, flows)
    flows = add_canvas_app_callers(flows, facts.canvas_apps)
    names = await _read_principal_names(
        services, environment, {flow.owner for flow in flows}, shares
    )
    flows = with_co_owners(flows, shares, names)
    flows = [replace(flow, owner=names.get(flow.owner, flow.owner)) for flow in flows]
    retired = await read_callers_on_retired_host(services, searched)
    found = build_assessment(facts, flows, rates, on_retired_host=retired)
    return replace(found, callers_searched_at=searched.searched_at)


async def read_named_policy(
    services: Services, environment: Environment, named: str
) -> EnterprisePolicy | NoAnswer | None:
    """Return the policy with this name or id, by default the environment's own.

    Returns None if no policy is named and the environment's own is not found. Raises `NotFound` if
    a named policy is not found.
    """
    wanted = named.lower() or (environment.policy.policy_id if environment.policy else "")
    if not wanted:
        return None
    policies = await read_or_no_answer(services.keys.read_policies())
    if isinstance(policies, NoAnswer):
        return policies
    for policy in policies:
        if wanted in {policy.id.lower(), policy.name.lower()}:
            return policy
    if named:
        raise NotFound("No watched subscription has this enterprise policy.")
    return None


async def _read_principal_names(
    services: Services, environment: Environment, owners: set[str], shares: ReadShares
) -> dict[str, str]:
    ids = sorted((owners | list_principal_ids(shares)) - {""})
    if not ids or environment.dataverse_url is None:
        return {}
    names = await read_or_no_answer(services.organization.read_names(environment, ids))
    return {} if isinstance(names, NoAnswer) else names


_NOT_SCHEDULED = {DeletionState.CANCELLED, DeletionState.DELETED}


async def _add_flow_job_status(
    services: Services, facts: EnvironmentSnapshot, flows: Sequence[AssessedFlow]
) -> list[AssessedFlow]:
    """Return the flows with the status of their flow jobs.

    A flow with an unreadable job has an unknown status.
    """
    environment = facts.environment
    rows = read_readable(services, services.tables.deletions.scan(environment.id))
    scheduled = {kept.item.job_id async for kept in rows if kept.item.state not in _NOT_SCHEDULED}
    found = {flow.workflow_id: with_remediation_status(facts, flow, None) for flow in flows}
    listed = {flow.workflow_id: flow for flow in flows}
    policy = environment.policy.policy_id if environment.policy else ""
    async for identity, job in read_flow_jobs(services, environment.id, policy, listed):
        flow = listed[identity]
        if isinstance(job, UnreadableRow):
            await alert_unreadable_row(services, job)
            found[identity] = flow
        else:
            found[identity] = with_remediation_status(
                facts, flow, job, is_deletion_scheduled=job.id in scheduled
            )
    return [found[flow.workflow_id] for flow in flows]
