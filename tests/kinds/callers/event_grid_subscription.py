"""Test data of the caller kind *Event Grid subscription*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from tests.fakes.builder import Builder
from tests.fakes.definition_builder import add_action, build_validation_action
from tests.kinds.case import (
    CallerCase,
    Json,
    ManyPlaces,
    SearchRequests,
    add_resources,
    build_resource,
    remove_resources,
)

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

TOPICS, WEBHOOKS, QUEUES = 6, 2, 3

_TOPIC = "Microsoft.EventGrid/topics"
_TYPE = f"{_TOPIC}/eventSubscriptions"


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    from tests.local_cloud.tenant.tenant_world import HTTP_FLOW

    flow = app.world.environment.flows[HTTP_FLOW]
    flow.client_data = add_action(flow.client_data, "Validate", build_validation_action())
    webhook = {"endpointUrl": url, "maxEventsPerBatch": 1}
    properties = {
        "destination": {"endpointType": "WebHook", "properties": webhook},
        "filter": {"subjectBeginsWith": "sales"},
    }
    resources = app.world.tenant.get_part(Azure).resources
    resources.put(build_resource(_TOPIC, "sales", location="westeurope", properties={}))
    resources.put(build_resource(_TYPE, "sales", "flow", properties=properties))


def _add_many_places(seed: Json) -> None:
    webhook = {"endpointType": "WebHook", "properties": {"endpointUrl": "https://x.example/"}}
    queue = {"endpointType": "ServiceBusQueue", "properties": {"resourceId": "q"}}
    for topic in range(TOPICS):
        add_resources(seed, build_resource(_TOPIC, f"topic{topic}", properties={}))
        for number, destination in enumerate([webhook] * WEBHOOKS + [queue] * QUEUES):
            names, properties = (f"topic{topic}", f"to{number}"), {"destination": destination}
            add_resources(
                seed,
                build_resource(f"{_TOPIC}/eventSubscriptions", *names, properties=properties),
            )


CASE = CallerCase(
    add=Builder.add_event_grid_caller,
    remove=remove_resources("Microsoft.EventGrid"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Resource groups' subscriptions, four kinds of topics, locks.
    requests=SearchRequests(
        standard=5,
        without_places=5,
        many=ManyPlaces(add=_add_many_places, requests=1 + 4 + 1 + TOPICS + TOPICS * WEBHOOKS),
    ),
)
