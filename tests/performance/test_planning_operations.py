import asyncio
import json
from typing import Any

import pytest

from shared.domain.plans.plan_item import PlanItem
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.fenced_rows import FencedRows
from shared.services import Services
from shared.steps.planning.discover_flows import discover_flows
from shared.steps.planning.make_plan import make_plan
from shared.steps.updating_callers.find_callers import find_callers
from tests.performance.large_environment import (
    ENVIRONMENT,
    FLOWS,
    HELD_BACK,
    SEARCH,
    LargeReports,
    LargeWorkflows,
    build_services,
    read_definition_texts,
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


async def run_to_plan(services: Services) -> list[PlanItem]:
    parts = FencedRows(services.tables.discovery_pages, JOB.id)
    found = await discover_flows(services, ENVIRONMENT, parts)
    await find_callers(services, SEARCH, FencedRows(services.tables.caller_searches, JOB.id))
    items, _ = await make_plan(services, JOB, found)
    await parts.clear()  # otherwise the next run would reuse the rows
    return items


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return the definitions of the flows. Several flows have the same definition."""
    return read_definition_texts()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that records each text that is decoded."""
    texts: list[str] = []
    loads = json.loads

    def record(text: str, *args: Any, **options: Any) -> Any:
        texts.append(text)
        return loads(text, *args, **options)

    monkeypatch.setattr(json, "loads", record)
    return texts


def test_planning_decodes_few_definitions_if_few_flows_stay(
    texts: list[str], decoded: list[str]
) -> None:
    items = asyncio.run(run_to_plan(build_services(LargeWorkflows(texts), LargeReports())))

    assert len(items) == HELD_BACK
    assert len(decoded) <= FLOWS // 4


def test_planning_decodes_each_definition_once_if_every_flow_stays(
    texts: list[str], decoded: list[str]
) -> None:
    flows = len(texts)

    asyncio.run(run_to_plan(build_services(LargeWorkflows(texts, flows), LargeReports(flows))))

    assert len(decoded) <= flows


def test_planning_needs_few_operations_per_flow(texts: list[str]) -> None:
    assert count_planning_operations(texts, FLOWS, HELD_BACK) <= MAX_OPERATIONS


def test_cost_of_planning_is_proportional_if_every_flow_stays(texts: list[str]) -> None:
    few, many = len(texts), 4 * len(texts)

    once = count_planning_operations(texts, few, few)
    four_times = count_planning_operations(texts, many, many)

    assert four_times <= MAX_OPERATIONS_IF_ALL_STAY
    assert four_times / once <= 1.05, (once, four_times)


def count_planning_operations(texts: list[str], flows: int, held_back: int) -> float:
    """Make a plan, and return the number of operations per flow."""
    services = build_services(LargeWorkflows(texts, flows), LargeReports(held_back))
    asyncio.run(run_to_plan(services))  # the first run also does what a process does once
    return count_operations(lambda: asyncio.run(run_to_plan(services))) / flows
