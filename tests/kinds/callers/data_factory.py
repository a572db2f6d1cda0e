"""A caller of the kind Data Factory: a web activity of a pipeline posts to the trigger URL."""

from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

_FACTORY = "Microsoft.DataFactory/factories"


async def _add_on_the_wire(app: "Adapters", url: str) -> None:
    call = {
        "typeProperties": {"url": url, "method": "POST", "body": "{}"},
        "name": "Notify",
        "type": "WebActivity",
    }
    resources = app.world.tenant.part(Azure).resources
    resources.put(resource(_FACTORY, "contoso", location="westeurope", properties={}))
    resources.put(
        resource(f"{_FACTORY}/pipelines", "contoso", "nightly", properties={"activities": [call]})
    )


def _remove(build: Builder) -> None:
    resources = build.world.resources
    for path in [one for one in resources if "/providers/microsoft.datafactory/" in one]:
        del resources[path]


CASE = CallerCase(
    add=Builder.data_factory_caller,
    remove=_remove,
    add_on_the_wire=_add_on_the_wire,
    is_by_hand=False,
)
