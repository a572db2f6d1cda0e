"""Test data of the caller kind *API Management*."""

import html
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

_SERVICE = "Microsoft.ApiManagement/service"
APIS, OPERATIONS, SECRET_VALUES = 3, 4, 5


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    resources, operation = app.world.tenant.get_part(Azure).resources, ("contoso", "sales", "post")
    value = (
        '<policies><inbound><set-variable name="x" value="@(1 < 2 && true)" /><send-request>'
        f"<set-url>{html.escape(url)}</set-url></send-request></inbound></policies>"
    )
    kind = f"{_SERVICE}/apis/operations/policies"
    resources.put(build_resource(_SERVICE, "contoso", properties={}))
    resources.put(build_resource(f"{_SERVICE}/apis", *operation[:2], properties={"path": "sales"}))
    resources.put(build_resource(f"{_SERVICE}/apis/operations", *operation, properties={}))
    resources.put(build_resource(kind, *operation, "policy", properties={"value": value}))


def _add_many_places(seed: Json) -> None:
    secret = {"displayName": "s", "secret": True, "value": "x"}
    values: list[Json] = [
        *([secret] * SECRET_VALUES),
        {"displayName": "open", "value": "x"},
        {"displayName": "v", "keyVault": {}},
    ]
    add_resources(seed, build_resource(_SERVICE, "contoso", properties={}))
    for number, value in enumerate(values):
        add_resources(
            seed,
            build_resource(f"{_SERVICE}/namedValues", "contoso", f"v{number}", properties=value),
        )
    for api in (f"api{number}" for number in range(APIS)):
        add_resources(
            seed,
            build_resource(f"{_SERVICE}/apis", "contoso", api, properties={}),
            *(
                build_resource(
                    f"{_SERVICE}/apis/operations", "contoso", api, f"o{one}", properties={}
                )
                for one in range(OPERATIONS)
            ),
        )


CASE = CallerCase(
    add=Builder.add_policy_caller,
    remove=remove_resources("Microsoft.ApiManagement"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Services, locks; its APIs, products, backends, named values, fragments, policy.
    requests=SearchRequests(
        standard=1,
        without_places=1,
        many=ManyPlaces(
            add=_add_many_places, requests=2 + 6 + SECRET_VALUES + APIS * (2 + OPERATIONS)
        ),
    ),
)
