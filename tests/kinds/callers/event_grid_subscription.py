"""A caller of the kind event grid subscription: a webhook of a topic holds the URL."""

from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from tests.fakes.builder import Builder
from tests.fakes.definition_builder import validation_action, with_action
from tests.kinds.case import CallerCase, resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

_TOPIC = "Microsoft.EventGrid/topics"
_TYPE = f"{_TOPIC}/eventSubscriptions"


async def _add_on_the_wire(app: "Adapters", url: str) -> None:
    from tests.local_cloud.tenant.tenant_world import HTTP_FLOW

    flow = app.world.environment.flows[HTTP_FLOW]
    flow.client_data = with_action(flow.client_data, "Validate", validation_action())
    webhook = {"endpointUrl": url, "maxEventsPerBatch": 1}
    properties = {
        "destination": {"endpointType": "WebHook", "properties": webhook},
        "filter": {"subjectBeginsWith": "sales"},
    }
    resources = app.world.tenant.part(Azure).resources
    resources.put(resource(_TOPIC, "sales", location="westeurope", properties={}))
    resources.put(resource(_TYPE, "sales", "flow", properties=properties))


def _remove(build: Builder) -> None:
    resources = build.world.resources
    for path in [path for path, one in resources.items() if one.get("type") == _TYPE]:
        del resources[path]


CASE = CallerCase(
    add=Builder.event_grid_caller,
    remove=_remove,
    add_on_the_wire=_add_on_the_wire,
    is_by_hand=False,
)
