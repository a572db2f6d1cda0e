"""Test data of the caller kind *App Configuration*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.seed.azure import seed_azure
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, Json, ManyPlaces, SearchRequests, build_resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

_STORES = "Microsoft.AppConfiguration/configurationStores"
STORES = 4


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    store = build_resource(_STORES, "contoso", properties={})
    key_value = {
        "key": "Flow/Urls: main",
        "label": "pro duction",
        "value": url,
        "contentType": "text/plain",
        "tags": {"team": "x"},
    }
    others = [{"key": f"Other{number}", "value": "blue"} for number in range(150)]
    store |= {"keyValues": [key_value, *others]}
    seed_azure(app.world.tenant, {"configurationStores": [store]})


def _add_many_places(seed: Json) -> None:
    values = [{"key": f"key{number}", "value": "x"} for number in range(50)]
    seed["azure"]["configurationStores"] = [
        {"id": build_resource(_STORES, f"store{number}", properties={})["id"], "keyValues": values}
        for number in range(STORES)
    ]


CASE = CallerCase(
    add=Builder.add_key_value_caller,
    remove=lambda build: build.world.key_values.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    requests=SearchRequests(
        standard=2, without_places=1, many=ManyPlaces(add=_add_many_places, requests=1 + STORES)
    ),
)
