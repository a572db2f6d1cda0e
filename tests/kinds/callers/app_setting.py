"""Test data of the caller kind *app setting*."""

from typing import TYPE_CHECKING

from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.kinds.case import CallerCase, Json, ManyPlaces, SearchRequests, build_resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

APPS, SLOTS = 20, 2


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    [site] = await app.app_settings.read_sites()
    await app.app_settings.write(site.id, {"COLOUR": "blue", "FLOW_URL": f"{url}&from=shop"})


def _add_caller(build: Builder, *flows: FakeFlow) -> None:
    for number, flow in enumerate(flows):
        build.add_app_setting_caller(flow, setting=f"FLOW_URL_{number}" if number else "FLOW_URL")


def add_apps(seed: Json) -> None:
    slots = [{"name": f"slot{number}"} for number in range(SLOTS)]
    seed["azure"]["sites"] = [
        {
            "id": build_resource("Microsoft.Web/sites", f"app{number}", properties={})["id"],
            "slots": slots,
        }
        for number in range(APPS)
    ]


CASE = CallerCase(
    add=_add_caller,
    remove=lambda build: build.world.sites.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Apps and slots; the settings of each.
    requests=SearchRequests(
        standard=3, without_places=2, many=ManyPlaces(add=add_apps, requests=2 + APPS * (1 + SLOTS))
    ),
)
