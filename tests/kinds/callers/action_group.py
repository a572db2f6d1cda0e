"""Test data of the caller kind *action group*."""

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

_TYPE = "Microsoft.Insights/actionGroups"


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    webhook = {"name": "flow", "serviceUri": url, "useCommonAlertSchema": True}
    mail = {"name": "mail", "emailAddress": "on-call@contoso.example", "status": "Enabled"}
    properties = {
        "groupShortName": "on-call",
        "enabled": True,
        "webhookReceivers": [webhook],
        "emailReceivers": [mail],
    }
    app.world.tenant.get_part(Azure).resources.put(
        build_resource(
            _TYPE, "on-call", location="Global", tags={"team": "x"}, properties=properties
        )
    )


def _add_many_places(seed: Json) -> None:
    add_resources(
        seed, *(build_resource(_TYPE, f"group{number}", properties={}) for number in range(10))
    )


CASE = CallerCase(
    add=Builder.add_action_group_caller,
    remove=remove_resources("Microsoft.Insights"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Groups, locks.
    requests=SearchRequests(
        standard=1, without_places=1, many=ManyPlaces(add=_add_many_places, requests=2)
    ),
)
