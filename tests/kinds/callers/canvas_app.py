"""Test data of the caller kind *canvas app*."""

from typing import TYPE_CHECKING

import local_cloud.tenant.environments.environment as served
from shared.domain.power_apps import CanvasApp
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.kinds.case import CallerCase, SearchRequests

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


def _add_caller(build: Builder, *flows: FakeFlow) -> CanvasApp:
    app = CanvasApp(
        name="app-1",
        display_name="Requests",
        owner="Alex",
        flow_ids=frozenset(flow.workflow_id for flow in flows),
    )
    build.environment.canvas_apps.append(app)
    return app


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    from tests.local_cloud.tenant.tenant_world import HTTP_FLOW, MAKER

    app.world.environment.canvas_apps["app-1"] = served.SimulatedCanvasApp(
        name="app-1", display_name="Requests", owner=MAKER, flows=(HTTP_FLOW,)
    )


CASE = CallerCase(
    add=_add_caller,
    remove=lambda build: build.environment.canvas_apps.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=True,
    requests=SearchRequests(standard=2, without_places=2),
)
