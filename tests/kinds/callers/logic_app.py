"""Test data of the caller kind *logic app*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from tests.fakes.builder import Builder
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

_TYPE = "Microsoft.Logic/workflows"


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    definition = {
        "parameters": {"url": {"type": "String"}},
        "triggers": {},
        "actions": {"Call": {"type": "Http", "inputs": {"uri": "@parameters('url')"}}},
    }
    app.world.tenant.get_part(Azure).resources.put(
        build_resource(
            _TYPE,
            "order-hub",
            location="westeurope",
            tags={"team": "hub"},
            properties={
                "state": "Enabled",
                "definition": definition,
                "parameters": {"url": {"value": f"{url}&from=hub"}},
            },
        )
    )


def _add_many_places(seed: Json) -> None:
    add_resources(
        seed, *(build_resource(_TYPE, f"hub{number}", properties={}) for number in range(30))
    )


CASE = CallerCase(
    add=Builder.add_logic_app_caller,
    remove=remove_resources("Microsoft.Logic"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Logic Apps, locks.
    requests=SearchRequests(
        standard=1, without_places=1, many=ManyPlaces(add=_add_many_places, requests=2)
    ),
)
