"""Test data of the caller kind *container app*."""

from typing import TYPE_CHECKING

from local_cloud.tenant.seed.azure import seed_azure
from tests.fakes.builder import Builder
from tests.kinds.case import (
    CallerCase,
    Json,
    ManyPlaces,
    SearchRequests,
    build_resource,
    remove_resources,
)

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

APPS, WITH_SECRETS, WITH_REVISIONS = 12, 5, 3

_TYPE = "Microsoft.App/containerApps"


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    variables = [{"name": "COLOUR", "value": "blue"}, {"name": "FLOW", "secretRef": "flow"}]
    secrets = [{"name": "flow", "value": f"{url}&from=till"}, {"name": "db", "value": "x"}]
    properties = {
        "configuration": {"secrets": secrets},
        "template": {"containers": [{"name": "web", "image": "web:1", "env": variables}]},
    }
    described = build_resource(_TYPE, "till", location="westeurope", properties=properties)
    seed_azure(app.world.tenant, {"containerApps": [described]})


def _add_many_places(seed: Json) -> None:
    seed["azure"]["containerApps"] = [_build_container_app(number) for number in range(APPS)]


def _build_container_app(number: int) -> Json:
    """Return a container app. Its number decides whether it has secrets and several active
    revisions.
    """
    secrets = [{"name": "key", "value": "x"}] if number < WITH_SECRETS else []
    mode = "Multiple" if number >= APPS - WITH_REVISIONS else "Single"
    configuration = {"secrets": secrets, "activeRevisionsMode": mode}
    properties = {"configuration": configuration, "template": {"containers": []}}
    return build_resource(_TYPE, f"app{number}", properties=properties)


CASE = CallerCase(
    add=Builder.add_container_app_caller,
    remove=remove_resources("Microsoft.App"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Apps, locks.
    requests=SearchRequests(
        standard=3,
        without_places=1,
        many=ManyPlaces(add=_add_many_places, requests=2 + WITH_SECRETS + WITH_REVISIONS),
    ),
)
