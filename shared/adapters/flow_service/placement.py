"""Puts flows into a solution by the flow service, as `Add-AdminFlowsToSolution` does.

See platform.md#move-into-solution.
"""

from collections.abc import Sequence

from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.client import ServiceRequest
from shared.ports import SolutionPlacement


class FlowServicePlacement(SolutionPlacement):
    """`SolutionPlacement` by the flow service, in an administrator's view."""

    def __init__(self, service: FlowService) -> None:
        """Call as the application."""
        self._service = service

    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        """Ask for flows to be put into the default solution; read each back to see whether."""
        call = ServiceRequest(
            method="POST", url="migrateFlows", body={"flowsToMigrate": list(flow_names)}
        )
        # The shape of the answer is not published: that it was accepted is all that it tells.
        await self._service.send(environment_id, call)
