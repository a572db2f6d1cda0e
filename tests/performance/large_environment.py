"""Simulate an environment of ten thousand flows with fakes of the ports, for performance tests.

The definitions come from `FLOW_CORPUS` if it is set. Otherwise they are generated like public
flows: twelve kilobytes on average, twenty actions, and a child flow in every seventh.
"""

import json
import os
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cmkflow.flow_files import read_flow_files
from shared.callers.flow import FlowCallers
from shared.domain.environment import Environment
from shared.domain.flow import (
    FlowListEntry,
    FlowRun,
    FlowServiceFlow,
    FlowState,
    Workflow,
    WorkflowSummary,
)
from shared.ports import ResultPage
from shared.services import Services
from shared.steps.updating_callers.find_callers import CallerSearchRequest
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_fake_services
from tests.fakes.world import World

FLOWS = 10_000
HELD_BACK = 300
#: Rows a page.
PAGE = 500
#: Flows a page of the report.
_REPORT_PAGE = 250
ENVIRONMENT = Environment(
    id="e0000000-0000-4000-8000-000000000001",
    display_name="Large",
    dataverse_url="https://large.crm4.dynamics.com",
    geography="europe",
    region="westeurope",
    sku="Production",
    is_managed=True,
    is_enabled=True,
    policy=None,
)

SEARCH = CallerSearchRequest(environment=ENVIRONMENT, everywhere=(ENVIRONMENT,), is_home_read=True)


def build_flow_id(number: int) -> str:
    return str(UUID(int=number, version=4))


def read_definition_texts() -> list[str]:
    """Return the `clientdata` of realistic flows. Several flows of the environment share a text."""
    if "FLOW_CORPUS" in os.environ:
        files = read_flow_files([Path(os.environ["FLOW_CORPUS"], "flows")])
        found = [file.flow.definition for file in files if file.flow]
        return [_build_text(one.definition, one.connection_references) for one in found]
    return [_build_text(_build_definition(number), _REFERENCES) for number in range(300)]


_REFERENCES = {
    "shared_office365": {
        "runtimeSource": "embedded",
        "connection": {"connectionReferenceLogicalName": "cr1_office"},
        "api": {"name": "shared_office365"},
    }
}


def _build_text(definition: object, references: object) -> str:
    properties = {"connectionReferences": references, "definition": definition}
    return json.dumps({"properties": properties, "schemaVersion": "1.0.0.0"})


def _build_definition(number: int) -> dict[str, Any]:
    actions = {f"Step_{step}": _build_action(step) for step in range(10)}
    if number % 7 == 0:
        host = {"workflowReferenceName": build_flow_id(number + 1)}
        actions["Child"] = {"type": "Workflow", "inputs": {"host": host}, "runAfter": {}}
    condition = {"type": "If", "actions": actions, "else": {"actions": actions}, "expression": {}}
    kind = "Http" if number % 10 == 0 else "Button"
    return {
        "$schema": "https://schema.management.azure.com/schemas/2016-06-01/workflowdefinition.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {"$connections": {"defaultValue": {}, "type": "Object"}},
        "triggers": {"manual": {"type": "Request", "kind": kind, "inputs": {"schema": {}}}},
        "actions": {"Condition": condition},
    }


def _build_action(step: int) -> dict[str, Any]:
    return {
        "type": "OpenApiConnection",
        "runAfter": {f"Step_{step - 1}": ["Succeeded"]} if step else {},
        "metadata": {"operationMetadataId": build_flow_id(step)},
        "inputs": {
            "host": {
                "apiId": "/providers/Microsoft.PowerApps/apis/shared_office365",
                "connectionName": "shared_office365",
                "operationId": "SendEmailV2",
            },
            "parameters": {
                "emailMessage/To": "@outputs('Get_item')?['body/Author/Email']",
                "emailMessage/Subject": f"Step {step}",
                "emailMessage/Body": "<p>@{triggerBody()?['text']}</p>" * 4,
            },
            "authentication": "@parameters('$authentication')",
        },
    }


class LargeWorkflows:
    """Implements the part of the port `Workflows` that a discovery uses."""

    def __init__(self, texts: Sequence[str], flows: int = FLOWS) -> None:
        self._texts = texts
        self._flows = flows

    async def list(
        self, environment: Environment, *, managed_only: bool = False
    ) -> AsyncIterator[Workflow]:
        for start in range(0, 0 if managed_only else self._flows, PAGE):
            async for row in self.read_rows(environment, start, PAGE):
                yield row

    async def read_rows(
        self, environment: Environment, start: int, count: int
    ) -> AsyncIterator[Workflow]:
        """Yield the flows of a page. Each text is a new object, as if it came from the network."""
        for number in range(start, min(start + count, self._flows)):
            text = self._texts[number % len(self._texts)]
            yield Workflow(
                workflow_id=build_flow_id(number),
                name=f"Flow {number}",
                state=FlowState.ON,
                client_data=text[:1] + text[1:],
                owner_id="owner",
                is_managed=False,
                description="",
                etag="1",
            )


class LargePages:
    """Implements the part of the port `FlowPages` that a discovery uses, with 500 flows per
    page.
    """

    def __init__(self, workflows: LargeWorkflows) -> None:
        self._workflows = workflows

    async def read_workflows(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[Workflow]:
        start = int(cursor or 0)
        rows = tuple([row async for row in self._workflows.read_rows(environment, start, PAGE)])
        return ResultPage(items=rows, cursor=str(start + PAGE) if len(rows) == PAGE else "")

    async def read_workflow_summaries(
        self, environment: Environment, cursor: str = ""
    ) -> ResultPage[WorkflowSummary]:
        raise NotImplementedError

    async def read_workflows_by_id(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> list[Workflow]:
        raise NotImplementedError

    async def read_flows(self, environment_id: str, cursor: str = "") -> ResultPage[FlowListEntry]:
        raise NotImplementedError


class LargeReports:
    """Implements the part of the port `FlowReports` that a discovery uses."""

    def __init__(self, held_back: int = HELD_BACK) -> None:
        self._held_back = held_back

    async def read_microsoft_key_flows(
        self, environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> ResultPage[FlowListEntry]:
        first = int(cursor or 0)
        last = min(first + _REPORT_PAGE, self._held_back)
        flows = (
            FlowListEntry(
                flow_name=build_flow_id(number),
                display_name=f"Flow {number}",
                workflow_id=build_flow_id(number),
                state=FlowState.ON,
            )
            for number in range(first, last)
        )
        return ResultPage(items=tuple(flows), cursor=str(last) if last < self._held_back else "")

    async def list_flows(self, environment_id: str) -> list[FlowListEntry]:
        raise NotImplementedError

    async def get_flow(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        raise NotImplementedError

    async def read_runs(
        self, environment_id: str, flow_name: str, *, since: datetime, limit: int = 250
    ) -> list[FlowRun]:
        return []


def build_services(workflows: Any, reports: Any) -> Services:
    """Return services that read these flows. Of the caller kinds, they have only flows."""
    world = World()
    fakes = build_fake_services(build_fakes(world).ports)
    flow_callers = FlowCallers(workflows, fakes.environments)
    return replace(
        fakes,
        workflows=workflows,
        flow_reports=reports,
        flow_pages=LargePages(workflows),
        callers={flow_callers.kind: flow_callers},
    )
