"""Move flows into a solution through the flow service, as `Add-AdminFlowsToSolution` does."""

from collections.abc import Sequence

from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.client import ServiceRequest
from shared.ports import SolutionPlacement


class FlowServiceSolutionPlacement(SolutionPlacement):
    """Implements the port `SolutionPlacement` with the flow service in the admin scope."""

    def __init__(self, service: FlowService) -> None:
        self._service = service

    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        call = ServiceRequest(
            method="POST", url="migrateFlows", body={"flowsToMigrate": list(flow_names)}
        )
        # The response is undocumented: it only confirms that the request was accepted.
        await self._service.send(environment_id, call)
