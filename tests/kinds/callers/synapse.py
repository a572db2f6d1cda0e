"""Test data of the caller kind *Synapse*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, ManyPlaces, SearchRequests, add_nothing, build_resource
from tests.local_cloud.tenant.tenant_world import APP

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

_WORKSPACE = "Microsoft.Synapse/workspaces"


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    call = {"name": "Notify", "type": "WebActivity", "typeProperties": {"url": url}}
    resources = app.world.tenant.get_part(Azure).resources
    resources.put(build_resource(_WORKSPACE, "contoso", properties={}, members=[APP]))
    resources.put(
        build_resource(
            f"{_WORKSPACE}/pipelines", "contoso", "nightly", properties={"activities": [call]}
        )
    )


def _remove_place(build: Builder) -> None:
    resources = build.world.resources
    for path in [one for one in resources if "/providers/microsoft.synapse/" in one]:
        del resources[path]


CASE = CallerCase(
    add=Builder.add_synapse_caller,
    remove=_remove_place,
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Workspaces, and five lists of the workspace of the seed.
    requests=SearchRequests(
        standard=6, without_places=1, many=ManyPlaces(add=add_nothing, requests=1 + 5)
    ),
)
