"""Test data of the caller kind *connection string*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.seed.azure import seed_azure
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.kinds.callers.app_setting import APPS, SLOTS, add_apps
from tests.kinds.case import CallerCase, ManyPlaces, SearchRequests, build_resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    strings = {"Flow": {"type": "Custom", "value": url}, "Db": {"type": "SQLAzure", "value": "x"}}
    slot = {"name": "staging", "connectionStrings": strings}
    site_id = build_resource("Microsoft.Web/sites", "portal", properties={})["id"]
    seed_azure(app.world.tenant, {"sites": [{"id": site_id, "slots": [slot]}]})


def _add_caller(build: Builder, *flows: FakeFlow) -> None:
    for number, flow in enumerate(flows):
        build.add_connection_string_caller(flow, name=f"Custom|Flow{number}")


CASE = CallerCase(
    add=_add_caller,
    remove=lambda build: build.world.sites.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Apps and slots; the strings of each.
    requests=SearchRequests(
        standard=3, without_places=2, many=ManyPlaces(add=add_apps, requests=2 + APPS * (1 + SLOTS))
    ),
)
