"""Test data of the caller kind *logic app (Standard)*."""

import json
from typing import TYPE_CHECKING

from local_cloud.tenant.seed.azure import seed_azure
from tests.fakes.builder import Builder
from tests.kinds.case import CallerCase, Json, ManyPlaces, SearchRequests, build_resource

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

WORKFLOWS = 7


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    site = build_resource("Microsoft.Web/sites", "hub", properties={})
    call = {"type": "Http", "inputs": {"method": "POST", "uri": f"{url}&from=hub"}}
    definition = json.dumps({"definition": {"actions": {"Call": call}}}, indent=2)
    files = {"call/workflow.json": definition, "host.json": "{}"}
    site |= {"kind": "functionapp,workflowapp", "files": files}
    seed_azure(app.world.tenant, {"sites": [site]})


def _remove_place(build: Builder) -> None:
    for site_id, _ in build.world.site_files:
        build.world.sites.pop(site_id, None)
    build.world.site_files.clear()


def _add_many_places(seed: Json) -> None:
    files = {f"w{number}/workflow.json": "{}" for number in range(WORKFLOWS)}
    hub = build_resource("Microsoft.Web/sites", "hub", properties={})
    seed["azure"]["sites"] += [{"id": hub["id"], "kind": "functionapp,workflowapp", "files": files}]


CASE = CallerCase(
    add=Builder.add_workflow_file_caller,
    remove=_remove_place,
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Apps, slots, locks; the app's workflows, their files and two shared files.
    requests=SearchRequests(
        standard=2,
        without_places=2,
        many=ManyPlaces(add=_add_many_places, requests=3 + 1 + WORKFLOWS + 2),
    ),
)
