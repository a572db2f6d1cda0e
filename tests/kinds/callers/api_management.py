"""A caller of the kind API Management: the policy of an operation sends a request."""

import html
from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

_SERVICE = "Microsoft.ApiManagement/service"


async def _add_on_the_wire(app: "Adapters", url: str) -> None:
    resources, operation = app.world.tenant.part(Azure).resources, ("contoso", "sales", "post")
    value = (
        '<policies><inbound><set-variable name="x" value="@(1 < 2 && true)" /><send-request>'
        f"<set-url>{html.escape(url)}</set-url></send-request></inbound></policies>"
    )
    kind = f"{_SERVICE}/apis/operations/policies"
    resources.put(resource(_SERVICE, "contoso", properties={}))
    resources.put(resource(f"{_SERVICE}/apis", *operation[:2], properties={"path": "sales"}))
    resources.put(resource(f"{_SERVICE}/apis/operations", *operation, properties={}))
    resources.put(resource(kind, *operation, "policy", properties={"value": value}))


def _remove(build: Builder) -> None:
    resources = build.world.resources
    for path in [one for one in resources if "/providers/microsoft.apimanagement/" in one]:
        del resources[path]


CASE = CallerCase(
    add=Builder.policy_caller,
    remove=_remove,
    add_on_the_wire=_add_on_the_wire,
    is_by_hand=False,
)
