"""Test the operations and decoded definitions that planning needs for each flow."""

import asyncio
import json
from typing import Any

import pytest

from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.fenced_rows import FencedRows
from shared.services import Services
from shared.steps.planning.discover_flows import discover
from shared.steps.planning.make_plan import make_plan
from shared.steps.updating_callers.find_callers import find_callers
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
from tests.performance.operation_count import count_operations

#: Operations for each of 10,000 flows of which 300 stay, caller search included: 541 with public
#: flows, 348 with made ones.
MAX_OPERATIONS = 650
#: The same where every flow stays, so that each gets a digest: 3,012 and 2,722.
MAX_OPERATIONS_IF_ALL_STAY = 3_500
JOB = EnvironmentJob(
    id="job",
    remediation_id="remediation",
    environment_id=ENVIRONMENT.id,
    mode=RemediationMode.APPLY,
)


async def plan(services: Services) -> list[PlanItem]:
    """Run an environment job until its plan."""
    parts = FencedRows(services.tables.discovery_pages, JOB.id)
    found = await discover(services, ENVIRONMENT, parts)
    await find_callers(services, SEARCH, FencedRows(services.tables.caller_searches, JOB.id))
    items, _ = await make_plan(services, JOB, found)
    await parts.clear()  # or the next run would find all of it done
    return items


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return definitions, to be used in turn."""
    return definition_texts()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives each decoded text."""
    texts: list[str] = []
    loads = json.loads

    def record(text: str, *args: Any, **options: Any) -> Any:
        texts.append(text)
        return loads(text, *args, **options)

    monkeypatch.setattr(json, "loads", record)
    return texts


def test_planning_decodes_few_definitions_of_flows_that_do_not_stay(
    texts: list[str], decoded: list[str]
) -> None:
    """The text alone decides for most definitions, and none is decoded three times."""
    items = asyncio.run(plan(services_for(LargeWorkflows(texts), LargeReports())))

    assert len(items) == HELD_BACK
    assert len(decoded) <= FLOWS // 4


def test_planning_decodes_each_definition_once_where_every_flow_stays(
    texts: list[str], decoded: list[str]
) -> None:
    """The plan and the digest come from the same decoding."""
    flows = len(texts)

    asyncio.run(plan(services_for(LargeWorkflows(texts, flows), LargeReports(flows))))

    assert len(decoded) <= flows


def test_planning_takes_few_operations_for_each_flow(texts: list[str]) -> None:
    """This covers reading, classifying, the graph, callers and plan, if few flows stay."""
    assert planning_operations(texts, FLOWS, HELD_BACK) <= MAX_OPERATIONS


def test_planning_grows_evenly_where_every_flow_stays(texts: list[str]) -> None:
    """Four times the flows take four times the operations."""
    few, many = len(texts), 4 * len(texts)

    once = planning_operations(texts, few, few)
    four_times = planning_operations(texts, many, many)

    assert four_times <= MAX_OPERATIONS_IF_ALL_STAY
    assert four_times / once <= 1.05, (once, four_times)


def planning_operations(texts: list[str], flows: int, held_back: int) -> float:
    """Return the number of operations that a plan needs for each flow of its environment."""
    services = services_for(LargeWorkflows(texts, flows), LargeReports(held_back))
    asyncio.run(plan(services))  # what a process does once is done here
    return count_operations(lambda: asyncio.run(plan(services))) / flows
