"""A caller of the kind GitHub: a webhook with a secret posts to the trigger URL."""

from typing import TYPE_CHECKING

from local_cloud.tenant.external_services.github import seed_github
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters


async def _add_on_the_wire(app: "Adapters", url: str) -> None:
    hook = {"id": 7, "events": ["push"], "config": {"url": url, "secret": "x", "insecure_ssl": "0"}}
    seed_github(app.world.tenant, {"repositories": [{"name": "contoso/shop", "hooks": [hook]}]})


CASE = CallerCase(
    add=Builder.github_caller,
    remove=lambda build: build.world.json_documents.clear(),
    add_on_the_wire=_add_on_the_wire,
    is_by_hand=False,
)
