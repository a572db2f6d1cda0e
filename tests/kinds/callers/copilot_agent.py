"""Test data of the caller kind *Copilot agent*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.dataverse.rows import TABLES, create_row
from tests.fakes.builder import Builder
from tests.kinds.case import IN_ROWS, CallerCase

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    from tests.local_cloud.tenant.tenant_world import HTTP_FLOW

    tenant, environment = app.world.tenant, app.world.environment
    agent = create_row(tenant, environment, TABLES["bots"], {"name": "Travel"})
    topic = {
        "name": "Booking",
        "data": f"kind: AdaptiveDialog\nactions:\n  - flowId: {HTTP_FLOW}\n",
        "_parentbotid_value": agent["botid"],
    }
    create_row(tenant, environment, TABLES["botcomponents"], topic)


CASE = CallerCase(
    add=Builder.add_agent_topic,
    remove=lambda build: build.environment.rows.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=True,
    requests=IN_ROWS,
)
