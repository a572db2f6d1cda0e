"""Discover 10,000 flows, and print how much memory the discovery needs.

The argument is the number of flows on Microsoft's key. The flows come in pages of 500, which are
decoded as in the adapter. The pages that are stored so that a discovery can resume are in the
memory of this process as well.
"""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator
from typing import override

from shared.domain.environment import Environment
from shared.domain.flow import FlowState, Workflow
from shared.domain.plans.remediation import EnvironmentJob, RemediationMode
from shared.jobs.fenced_rows import FencedRows
from shared.steps.planning.discover_flows import discover_flows
from shared.steps.planning.make_plan import make_plan
from shared.steps.updating_callers.find_callers import find_callers
from tests.performance.large_environment import (
    ENVIRONMENT,
    FLOWS,
    SEARCH,
    LargeReports,
    LargeWorkflows,
    build_services,
    read_definition_texts,
)


class DecodedWorkflows(LargeWorkflows):
    """Flows that are decoded from one JSON answer per page, as in the adapter."""

    @override
    async def read_rows(
        self, environment: Environment, start: int, count: int
    ) -> AsyncIterator[Workflow]:
        page = [
            {"id": one.workflow_id, "name": one.name, "clientdata": one.client_data}
            async for one in super().read_rows(environment, start, count)
        ]
        answer = json.dumps({"value": page}).encode()
        del page
        for row in json.loads(answer)["value"]:
            yield Workflow(
                workflow_id=row["id"],
                name=row["name"],
                state=FlowState.ON,
                client_data=row["clientdata"],
                owner_id="owner",
                is_managed=False,
                description="",
                etag="1",
            )


async def _discover_and_plan(held_back: int, texts: list[str]) -> int:
    services = build_services(DecodedWorkflows(texts), LargeReports(held_back))
    job = EnvironmentJob(
        id="job",
        remediation_id="remediation",
        environment_id=ENVIRONMENT.id,
        mode=RemediationMode.APPLY,
    )
    found = await discover_flows(
        services, ENVIRONMENT, FencedRows(services.tables.discovery_pages, job.id)
    )
    await find_callers(services, SEARCH, FencedRows(services.tables.caller_searches, job.id))
    items, _ = await make_plan(services, job, found)
    return len(items)


def _get_peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the number of planned flows, and in bytes the memory of the discovery and the size of
    all definitions.
    """
    texts = read_definition_texts()
    before = _get_peak_memory()
    planned = asyncio.run(_discover_and_plan(int(sys.argv[1]), texts))
    size = sum(len(texts[number % len(texts)]) for number in range(FLOWS))
    print(
        json.dumps({"planned": planned, "growth": _get_peak_memory() - before, "definitions": size})
    )


if __name__ == "__main__":
    main()
