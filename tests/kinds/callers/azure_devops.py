"""A caller of the kind Azure DevOps: a service hook posts to the trigger URL."""

from typing import TYPE_CHECKING

from local_cloud.tenant.external_services.azure_devops import seed_azure_devops
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase
from tests.local_cloud.tenant.tenant_world import APP

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_on_the_wire(app: "Adapters", url: str) -> None:
    hook = {
        "id": "3c2ef72c-1d5f-4f0e-9a53-8b1c4a3d4f11",
        "publisherId": "tfs",
        "eventType": "build.complete",
        "resourceVersion": "1.0",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": {"projectId": "p1", "buildStatus": "Failed"},
        "consumerInputs": {"url": url, "resourceDetailsToSend": "all"},
        "status": "enabled",
    }
    seed_azure_devops(app.world.tenant, [{"name": "contoso", "members": [APP], "hooks": [hook]}])


CASE = CallerCase(
    add=Builder.azure_devops_caller,
    remove=lambda build: build.world.json_documents.clear(),
    add_on_the_wire=_add_on_the_wire,
    is_by_hand=False,
)
