"""Let the platform reject saves of a flow, and remove the flow's connection references."""

import json
from dataclasses import replace
from typing import Any

from shared.domain.flow import WorkflowUpdate
from shared.errors import PlatformError
from tests.fakes.ports import Ports
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario


def get_references(flow: FakeFlow) -> dict[str, Any]:
    references: dict[str, Any] = json.loads(flow.client_data)["properties"]["connectionReferences"]
    return references


class RefusingSaves:
    """A workflows port that rejects some saves of one flow, and removes the flow's connection
    references with each.
    """

    def __init__(self, port: Any, flow: FakeFlow, left: list[BaseException]) -> None:
        self._port, self._flow, self._left = port, flow, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def update(
        self, environment: Any, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        if workflow_id == self._flow.workflow_id and change.client_data and self._left:
            error = self._left.pop()
            document = json.loads(self._flow.client_data)
            document["properties"]["connectionReferences"] = {}
            self._flow.client_data = json.dumps(document)
            raise error
        await self._port.update(environment, workflow_id, change, etag=etag)


def refuse_saves(
    scenario: Scenario, flow: FakeFlow, *, wipes: int, error: BaseException | None = None
) -> list[BaseException]:
    """Reject the next `wipes` saves of a flow. Return the list of the errors that are still to be
    raised.
    """
    left = [error or PlatformError("not today", code="Strange", status=400)] * wipes

    def wrap_ports(ports: Ports) -> Ports:
        refusing: Any = RefusingSaves(ports.workflows, flow, left)
        return replace(ports, workflows=refusing)

    scenario.around = wrap_ports
    scenario.renew()
    return left
