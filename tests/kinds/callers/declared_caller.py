"""Test data of the caller kind *declared caller*."""

from typing import TYPE_CHECKING

from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.state.rows import Table
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.kinds.case import CallerCase, SearchRequests

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


def declare(*flows: CalledFlow) -> DeclaredCaller:
    return DeclaredCaller(name="Till", owner="Alex", contact="alex@contoso.example", flows=flows)


def _add_caller(build: Builder, *flows: FakeFlow) -> DeclaredCaller:
    declared = declare(
        *(
            CalledFlow(environment_id=build.environment.id, flow_id=flow.workflow_id)
            for flow in flows
        )
    )
    build.world.declared_callers.append(declared)
    return declared


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, HTTP_FLOW

    rows = app.declared_callers
    assert isinstance(rows, Table)
    await rows.upsert(declare(CalledFlow(environment_id=ENVIRONMENT, flow_id=HTTP_FLOW)))


CASE = CallerCase(
    add=_add_caller,
    remove=lambda build: build.world.declared_callers.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=True,
    requests=SearchRequests(standard=0, without_places=0),
)
