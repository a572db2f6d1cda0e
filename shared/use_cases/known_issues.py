"""Whether what somebody accepts by its name is there: a misspelled name would accept nothing."""

import re
from collections.abc import AsyncIterator, Collection

from shared.alerts import readable
from shared.domain.callers.agents import confirmation_name_for_copy
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.environment import Environment
from shared.domain.jobs.state_machine import NextActor
from shared.domain.network.issue_lookup import describe_unknown_issue
from shared.domain.plans.current_plan import newest_plans
from shared.errors import IssueNotFound
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.check_network import network_of, read_all_firewalls

#: Why jobs stop until what they name is accepted, or settled.
ACCEPTED_BY_NAME = (
    Reason.FIREWALL_DENIES,
    Reason.FIREWALL_FIX_FAILED,
    Reason.OUTBOUND_CALL_BLOCKED,
    Reason.START_WOULD_FAIL,
    Reason.AGENTS_NOT_CONFIRMED,
)


async def require_known(
    services: Services, environment: Environment, names: Collection[str]
) -> None:
    """Return if each name is one that a job, a plan or a firewall has; else raises `IssueNotFound`.

    Firewalls are read only for a name that no row has.
    """
    told = [name async for name in _told(services, environment.id)]
    texts = [text async for text in _texts_of_stuck_jobs(services, environment.id)]
    said = "\n".join(texts)
    left = [one for one in names if one not in told and not _is_said(one, said)]
    if not left:
        return
    firewalls, tags = await read_all_firewalls(services)
    network = network_of(services, environment, firewalls, tags)
    known = {*told, *(gap.name for gap in network.lacking())}
    for name in left:
        if name not in known:
            raise IssueNotFound(
                f"There is no gap {name} in {environment.display_name}.",
                instruction=describe_unknown_issue(name, known),
            )


def _is_said(name: str, text: str) -> bool:
    """Say whether a text names it as a whole, and not a longer name that it is a part of."""
    return bool(re.search(rf"(?<![\w./#:-]){re.escape(name)}(?![\w/#:-]|\.\w)", text))


async def _told(services: Services, environment_id: str) -> AsyncIterator[str]:
    """Yield the names that plans, runs of copies and changes of Microsoft's ranges tell of.

    Of a flow that agents run the word may be given as soon as it is planned.
    """
    where = [Condition("environment_id", "eq", environment_id)]
    rows = readable(services, services.tables.environment_jobs.scan(where=where))
    jobs = [kept.item async for kept in rows]
    current = {one.id for one in newest_plans(jobs).get(environment_id, ())}
    for job in jobs:
        for finding in job.network:
            yield finding.name
        if job.id not in current and job.state_properties.next_actor is NextActor.NONE:
            continue
        async for item in readable(services, services.tables.plan_items.scan(job.id)):
            if TriggerCategory(item.item.category).is_run_by_agents:
                yield confirmation_name_for_copy(item.item.workflow_id)
    calls = services.tables.blocked_calls.scan(environment_id)
    async for call in readable(services, calls):
        yield call.item.name
    async for edition in readable(
        services, services.tables.service_tag_list_versions.scan("service_tag_list_version")
    ):
        for firewall in edition.item.firewalls:
            yield firewall.gap


async def _texts_of_stuck_jobs(services: Services, environment_id: str) -> AsyncIterator[str]:
    """Yield what jobs say that stop until something is accepted: its name is in it."""
    for code in ACCEPTED_BY_NAME:
        where = [Condition("reason_code", "eq", code)]
        async for job in readable(
            services, services.tables.flow_jobs.scan(environment_id, where=where)
        ):
            yield f"{job.item.reason} {job.item.instruction}"
