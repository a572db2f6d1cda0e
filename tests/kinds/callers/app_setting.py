"""A caller of the kind app setting: one setting holds the trigger URL, next to another setting."""

from typing import TYPE_CHECKING

from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.kinds.case import CallerCase

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_on_the_wire(app: "Adapters", url: str) -> None:
    [site] = await app.app_settings.read_sites()
    await app.app_settings.write(site.id, {"COLOUR": "blue", "FLOW_URL": f"{url}&from=shop"})


def _add(build: Builder, *flows: FakeFlow) -> None:
    for number, flow in enumerate(flows):
        build.app_setting_caller(flow, setting=f"FLOW_URL_{number}" if number else "FLOW_URL")


CASE = CallerCase(
    add=_add,
    remove=lambda build: build.world.sites.clear(),
    add_on_the_wire=_add_on_the_wire,
    is_by_hand=False,
)
