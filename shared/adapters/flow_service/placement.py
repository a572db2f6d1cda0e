"""Puts flows into a solution by the flow service, as `Add-AdminFlowsToSolution` does (§5.9)."""

from collections.abc import Sequence

from shared.adapters.flow_service.flows import VERSION, admin_url
from shared.adapters.http.client import Call, HttpClient, Service
from shared.ports import FlowPlacement


class FlowServicePlacement(FlowPlacement):
    """`FlowPlacement` by the flow service, in an administrator's view."""

    def __init__(self, http: HttpClient, service: Service) -> None:
        """Call as the application; `service` has the flow service's scope."""
        self._http = http
        self._service = service

    async def add_to_solution(self, environment_id: str, flow_names: Sequence[str]) -> None:
        """Ask for flows to be put into the default solution; read each back to see whether."""
        call = Call(
            method="POST",
            url=admin_url(environment_id, "migrateFlows"),
            params=VERSION,
            body={"flowsToMigrate": list(flow_names)},
        )
        # The shape of the answer is not published: that it was accepted is all that it tells.
        await self._http.send(self._service, call)
