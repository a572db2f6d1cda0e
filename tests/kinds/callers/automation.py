"""Test data of the caller kind *Automation*."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.tenant import Tenant
from tests.fakes.builder import Builder
from tests.kinds.case import (
    CallerCase,
    Json,
    ManyPlaces,
    SearchRequests,
    WirePlaces,
    add_resources,
    build_resource,
    remove_resources,
)

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

_ACCOUNTS = "Microsoft.Automation/automationAccounts"
RUNBOOKS = 6


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    resources = app.world.tenant.get_part(Azure).resources
    properties = {"isEncrypted": False, "value": json.dumps(url), "description": "x"}
    resources.put(build_resource(_ACCOUNTS, "contoso", properties={}))
    resources.put(
        build_resource(f"{_ACCOUNTS}/variables", "contoso", "Flow", properties=properties)
    )


def _add_many_places(seed: Json) -> None:
    published = {"state": "Published", "content": "x"}
    add_resources(
        seed,
        build_resource(_ACCOUNTS, "contoso", properties={}),
        build_resource(f"{_ACCOUNTS}/variables", "contoso", "v", properties={"value": '"x"'}),
        build_resource(f"{_ACCOUNTS}/runbooks", "contoso", "new", properties={"state": "New"}),
        *(
            build_resource(f"{_ACCOUNTS}/runbooks", "contoso", f"r{number}", properties=published)
            for number in range(RUNBOOKS)
        ),
    )


def _add_places(seed: Json, url: str) -> None:
    """Add an Automation account with a variable that has the URL, among other properties."""
    properties = {"isEncrypted": False, "value": json.dumps(url), "description": "x"}
    add_resources(
        seed,
        build_resource(_ACCOUNTS, "contoso", properties={}),
        build_resource(f"{_ACCOUNTS}/variables", "contoso", "flow", properties=properties),
    )


def _read_places(tenant: Tenant) -> Mapping[str, object]:
    variables = tenant.get_part(Azure).resources.list_of_type(f"{_ACCOUNTS}/variables")
    return {one["id"]: one["properties"] for one in variables}


CASE = CallerCase(
    add=Builder.add_automation_caller,
    remove=remove_resources("Microsoft.Automation"),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Accounts, locks; variables, runbooks, and the text of each published runbook.
    requests=SearchRequests(
        standard=1,
        without_places=1,
        many=ManyPlaces(add=_add_many_places, requests=2 + 2 + RUNBOOKS),
    ),
    wire=WirePlaces(add=_add_places, read=_read_places),
)
