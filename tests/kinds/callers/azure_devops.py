"""Test data of the caller kind *Azure DevOps*."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.external_services.azure_devops import AzureDevOps, seed_azure_devops
from shared.callers.azure_devops import AZURE_DEVOPS
from shared.domain.definitions.json_values import mapping_at, text_at
from tests.fakes.builder import Builder
from tests.fakes.tenant import FakeFlow
from tests.fakes.traffic import UrlHolder
from tests.kinds.case import CallerCase, Json, ManyPlaces, SearchRequests, WirePlaces
from tests.local_cloud.tenant.tenant_world import APP

if TYPE_CHECKING:
    from tests.contract.adapter_world import Adapters

PROJECTS = 9
_PROJECT = {"id": "8d1f3a52-0000-4000-8000-000000000001", "name": "Sales"}


def add_document(build: Builder, path: str, document: Json) -> str:
    """Add a document to the Azure DevOps organization. Return its path."""
    return build.add_json_document(AZURE_DEVOPS, "contoso", f"contoso/{path}", document)


def add_variable_group(build: Builder, variables: Json, **more: object) -> str:
    """Add a variable group with these variables. Return its path."""
    project = {"id": "p1", "name": "Sales"}
    add_document(build, "_apis/projects/p1", project)
    group = {
        "id": 7,
        "name": "urls",
        "type": "Vsts",
        "variables": variables,
        "variableGroupProjectReferences": [{"name": "urls", "projectReference": project}],
    }
    return add_document(build, "p1/_apis/distributedtask/variablegroups/7", group | more)


def _add_caller(build: Builder, *flows: FakeFlow) -> str:
    """Add a variable group with the URL of each flow. Return its path."""
    variables: Json = {
        f"URL{n}": {"value": build.get_trigger_url(one)} for n, one in enumerate(flows)
    }
    path = add_variable_group(build, {**variables, "colour": {"value": "blue"}})

    def read(number: int) -> str:
        document = build.world.json_documents[AZURE_DEVOPS.name][path]
        return text_at(mapping_at(document, "variables", f"URL{number}"), "value") or ""

    for number, _ in enumerate(flows):
        build.add_system(UrlHolder(name=f"urls/{number}", read=partial(read, number)))
    return path


def _describe_hook(url: str, project_id: str) -> Json:
    return {
        "id": "3c2ef72c-1d5f-4f0e-9a53-8b1c4a3d4f11",
        "publisherId": "tfs",
        "eventType": "build.complete",
        "resourceVersion": "1.0",
        "consumerId": "webHooks",
        "consumerActionId": "httpRequest",
        "publisherInputs": {"projectId": project_id, "buildStatus": "Failed"},
        "consumerInputs": {"url": url, "resourceDetailsToSend": "all"},
        "status": "enabled",
    }


async def _add_caller_to_tenant(app: "Adapters", url: str) -> None:
    organization = {"name": "contoso", "members": [APP], "hooks": [_describe_hook(url, "p1")]}
    seed_azure_devops(app.world.tenant, [organization])


def _add_many_places(seed: Json) -> None:
    projects = [{"id": f"p{number}", "name": "x"} for number in range(PROJECTS)]
    seed["azureDevOps"] = [{"name": "contoso", "members": [APP], "projects": projects}]


def _add_places(seed: Json, url: str) -> None:
    """Add an organization to a seed, with a service hook and a variable group that has a secret."""
    group = {
        "id": 7,
        "type": "Vsts",
        "name": "urls",
        "description": "x",
        "variables": {"URL": {"value": url}, "key": {"value": "secret", "isSecret": True}},
        "variableGroupProjectReferences": [{"name": "urls", "projectReference": _PROJECT}],
    }
    organization = {
        "name": "contoso",
        "members": [APP],
        "projects": [_PROJECT],
        "hooks": [_describe_hook(url, _PROJECT["id"])],
        "variableGroups": [group],
    }
    seed["azureDevOps"] = [organization]


def _read_places(tenant: Tenant) -> Mapping[str, object]:
    organization = tenant.get_part(AzureDevOps).organizations["contoso"]
    return {"service hooks": organization.hooks, "variable groups": organization.groups}


CASE = CallerCase(
    add=_add_caller,
    remove=lambda build: build.world.json_documents.clear(),
    add_on_the_wire=_add_caller_to_tenant,
    is_by_hand=False,
    # Projects, service hooks, and the variable groups of each project.
    requests=SearchRequests(
        standard=2,
        without_places=0,
        many=ManyPlaces(add=_add_many_places, requests=2 + PROJECTS),
    ),
    wire=WirePlaces(
        settings={"azure_devops_organizations": ("contoso",)},
        standard_seed={"azureDevOps": [{"name": "contoso", "members": [APP]}]},
        add=_add_places,
        read=_read_places,
    ),
)
