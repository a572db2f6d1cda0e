"""Collect the facts of an assessment. A fact that cannot be read is a `NoAnswer`."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from shared.alerts import read_readable
from shared.domain.assessment.snapshots import EnvironmentSnapshot, NoAnswer
from shared.domain.environment import Environment, PolicyLinkStatus
from shared.domain.keys.key import EnterprisePolicy, KeySnapshot
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.plans.flow_facts import FlowFacts
from shared.services import Services
from shared.steps.assessing.read_flow_facts import FlowReadResult
from shared.steps.assessing.read_key import read_key, read_named_key
from shared.steps.assessing.read_power_apps import PowerAppsFacts, read_power_apps
from shared.steps.flows.check_network import NetworkView, read_network
from shared.steps.optional_read import read_or_no_answer


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentInput:
    """The environment to assess, and what was already read about it."""

    environment: Environment
    #: Every environment of the tenant.
    everywhere: tuple[Environment, ...]
    policy: EnterprisePolicy | NoAnswer | None
    #: Vault and name of a key that no policy names yet.
    key: tuple[str, str] | None = None
    #: The firewalls, if they were read for it.
    network: NetworkView | None = None
    #: The connections and canvas apps, if they were read for it.
    power_apps: PowerAppsFacts | None = None


async def collect_environment_facts(
    services: Services, question: AssessmentInput, reading: Awaitable[FlowReadResult]
) -> EnvironmentSnapshot:
    """Return all facts of one environment. `reading` reads the flows of the environment."""
    environment = question.environment
    flows, key, power_apps, groups, setting = await asyncio.gather(
        reading,
        _read_key(services, question),
        _read_power_apps(services, question),
        _read_hosted_groups(services, environment),
        _read_solution_setting(services, environment),
    )
    linked = read_readable(services, services.tables.policy_links.scan("link"))
    links = [kept.item async for kept in linked if kept.item.environment_id == environment.id]
    linked_since = next(
        (one.first_seen_at for one in links if one.status == PolicyLinkStatus.LINKED), None
    )
    return EnvironmentSnapshot(
        read_at=services.now,
        environment=environment,
        keyed_environments=sum(one.policy is not None for one in question.everywhere),
        policy=question.policy,
        key=key,
        flows=flows.flows,
        microsoft_key_lists=flows.reports,
        differences=flows.differences,
        connections=_convert_to_tuple(power_apps.connections),
        canvas_apps=_convert_to_tuple(power_apps.canvas_apps),
        hosted_machine_groups=groups,
        creates_flows_in_solutions=setting,
        firewall_issues=await _find_firewall_issues(services, question, flows.flows),
        linked_at=linked_since,
    )


def _convert_to_tuple[T](answer: Sequence[T] | NoAnswer) -> tuple[T, ...] | NoAnswer:
    return answer if isinstance(answer, NoAnswer) else tuple(answer)


async def _read_power_apps(services: Services, question: AssessmentInput) -> PowerAppsFacts:
    return question.power_apps or await read_power_apps(services, question.environment)


async def _read_key(services: Services, question: AssessmentInput) -> KeySnapshot | NoAnswer | None:
    if question.key:
        return await read_or_no_answer(read_named_key(services, *question.key))
    if not isinstance(question.policy, EnterprisePolicy):
        return question.policy  # it could not be read, or there is none
    return await read_or_no_answer(read_key(services, question.policy, question.everywhere))


async def _read_hosted_groups(
    services: Services, environment: Environment
) -> tuple[str, ...] | NoAnswer:
    if environment.dataverse_url is None:
        return ()  # desktop flows are stored in Dataverse
    groups = await read_or_no_answer(
        services.assessment.machine_groups.read_hosted_groups(environment)
    )
    return groups if isinstance(groups, NoAnswer) else tuple(groups)


async def _read_solution_setting(services: Services, environment: Environment) -> bool | NoAnswer:
    if environment.dataverse_url is None:
        return NoAnswer(message="the environment has no Dataverse, so it has no solutions")
    setting = await read_or_no_answer(services.organization.read_solution_setting(environment))
    if isinstance(setting, NoAnswer):
        return setting
    if setting.is_on is None:
        return NoAnswer(message="Dataverse returned no value for it")
    return setting.is_on


async def _find_firewall_issues(
    services: Services, question: AssessmentInput, flows: Mapping[str, FlowFacts] | NoAnswer
) -> tuple[FirewallIssue, ...] | NoAnswer:
    if isinstance(flows, NoAnswer):
        return flows
    callers: dict[str, list[str]] = {}
    for one in flows.values():
        for host in one.summary.http_hosts if one.summary else ():
            callers.setdefault(host, []).append(one.display_name)
    if not callers:
        return ()
    network: NetworkView | NoAnswer | None = question.network
    if network is None:
        network = await read_or_no_answer(read_network(services, question.environment, callers))
    if isinstance(network, NoAnswer):
        return network
    by_host = {host: sorted(callers[host]) for host in sorted(callers)}
    return (*network.find_issues([*by_host]), *network.find_external_host_issues(by_host))
