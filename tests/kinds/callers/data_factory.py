"""Test data of the caller kind *Data Factory*."""

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

_FACTORIES = "Microsoft.DataFactory/factories"
FACTORIES = 2


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    call = {
        "typeProperties": {"url": url, "method": "POST", "body": "{}"},
        "name": "Notify",
        "type": "WebActivity",
    }
    resources = app.world.tenant.get_part(Azure).resources
    resources.put(build_resource(_FACTORIES, "contoso", location="westeurope", properties={}))
    resources.put(
        build_resource(
            f"{_FACTORIES}/pipelines", "contoso", "nightly", properties={"activities": [call]}
        )
    )


def _add_many_places(seed: Json) -> None:
    for factory in (f"factory{number}" for number in range(FACTORIES)):
        add_resources(
            seed,
            build_resource(_FACTORIES, factory, properties={}),
            *(
                build_resource(
                    f"{_FACTORIES}/pipelines", factory, f"p{n}", properties={"activities": []}
                )
                for n in range(8)
            ),
        )


CASE = CallerCase(
    add=Builder.add_data_factory_caller,
    remove=remove_resources("Microsoft.DataFactory"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Factories, locks; datasets, global parameters, linked services, pipelines, triggers.
    requests=SearchRequests(
        standard=1,
        without_places=1,
        many=ManyPlaces(add=_add_many_places, requests=2 + FACTORIES * 5),
    ),
)
