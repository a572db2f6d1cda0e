"""What planning costs beside merely decoding the definitions, in one process: ratios only."""

import asyncio
import json

import pytest

from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.fence import FencedRows
from shared.services import Services
from shared.steps.moving_callers.find_callers import find_callers
from shared.steps.planning.discover_flows import discover
from shared.steps.planning.make_plan import make_plan
from tests.performance.large_environment import (
    ENVIRONMENT,
    FLOWS,
    HELD_BACK,
    SEARCH,
    LargeReports,
    LargeWorkflows,
    definition_texts,
    services_for,
)
from tests.performance.processor_time import least_time

#: Planning 10,000 flows of which 300 stay, caller search included, over decoding their JSON;
#: with public flows it is 2.4, with made ones 1.4.
MOST = 3.0
#: The same where every flow stays: each one's digest is made as well; it is 9.
MOST_IF_ALL_STAY = 10.0
JOB = EnvironmentJob(
    id="job",
    remediation_id="remediation",
    environment_id=ENVIRONMENT.id,
    mode=RemediationMode.APPLY,
)


async def plan(services: Services) -> list[PlanItem]:
    """Do what an environment job does up to its plan."""
    parts = FencedRows(services.tables.discoveries, JOB.id)
    found = await discover(services, ENVIRONMENT, parts)
    await find_callers(services, SEARCH, FencedRows(services.tables.searches, JOB.id))
    items, _ = await make_plan(services, JOB, found)
    await parts.clear()  # or the next run would find all of it done
    return items


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Definitions, to be taken in turn."""
    return definition_texts()


def decode(texts: list[str], flows: int) -> None:
    """Decode as many definitions as a plan of `flows` reads, and nothing else."""
    for number in range(flows):
        json.loads(texts[number % len(texts)])


def test_planning_costs_little_more_than_decoding(texts: list[str]) -> None:
    """Reading, classifying, the graph, the callers and the plan take a few decodings' time."""
    services = services_for(LargeWorkflows(texts), LargeReports())
    items = asyncio.run(plan(services))
    assert len(items) == HELD_BACK

    planning = least_time(lambda: asyncio.run(plan(services)))
    decoding = least_time(lambda: decode(texts, FLOWS))

    assert planning / decoding <= MOST, planning / decoding


def test_planning_grows_evenly_where_every_flow_stays(texts: list[str]) -> None:
    """A tenth of the environment, all of it held back, costs no more for each flow than that."""
    flows = FLOWS // 10
    services = services_for(LargeWorkflows(texts, flows), LargeReports(flows))

    planning = least_time(lambda: asyncio.run(plan(services)))
    decoding = least_time(lambda: decode(texts, flows))

    assert planning / decoding <= MOST_IF_ALL_STAY, planning / decoding
