"""Test that a search for callers needs few requests."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.kind_discovery import kinds_in
from tests.contract.adapter_world import build_description, run_adapters
from tests.fakes.services import kinds_on
from tests.kinds.case import resource
from tests.local_cloud.tenant.tenant_world import APP

APIS, OPERATIONS, SECRET_VALUES = 3, 4, 5
RUNBOOKS, WORKFLOWS, FACTORIES, PIPELINES, PROJECTS = 6, 7, 2, 8, 9
APPS, SLOTS, VAULTS, SECRETS, STORES, LOGIC_APPS, GROUPS = 20, 2, 5, 3, 4, 30, 10
TOPICS, WEBHOOKS, QUEUES = 6, 2, 3
CONTAINER_APPS, WITH_SECRETS, WITH_REVISIONS = 12, 5, 3
#: Kinds that search outside of environments.
KINDS = (
    "app_setting",
    "connection_string",
    "container_app",
    "event_grid_subscription",
    "key_vault_secret",
    "app_configuration",
    "logic_app",
    "logic_app_standard",
    "action_group",
    "api_management",
    "automation",
    "data_factory",
    "azure_devops",
    "synapse",
    "github",
)
_FACTORY = "Microsoft.DataFactory/factories"
_AUTOMATION = "Microsoft.Automation/automationAccounts"
_API_MANAGEMENT = "Microsoft.ApiManagement/service"


def describe_api_management() -> list[dict[str, Any]]:
    """Return a service with APIs, operations and named values, of which some are secret."""
    secrets = [{"displayName": "s", "secret": True, "value": "x"} for _ in range(SECRET_VALUES)]
    values: list[dict[str, Any]] = [
        *secrets,
        {"displayName": "open", "value": "x"},
        {"displayName": "v", "keyVault": {}},
    ]
    return [
        resource(_API_MANAGEMENT, "contoso", properties={}),
        *(
            resource(f"{_API_MANAGEMENT}/namedValues", "contoso", f"v{number}", properties=one)
            for number, one in enumerate(values)
        ),
        *(
            resource(f"{_API_MANAGEMENT}/apis", "contoso", f"api{api}", properties={})
            for api in range(APIS)
        ),
        *(
            resource(
                f"{_API_MANAGEMENT}/apis/operations",
                "contoso",
                f"api{api}",
                f"operation{operation}",
                properties={},
            )
            for api in range(APIS)
            for operation in range(OPERATIONS)
        ),
    ]


def build_seed() -> dict[str, Any]:
    """Return a tenant with many Azure resources that could be callers."""
    seed = deepcopy(build_description())
    azure = seed["azure"]
    slots = [{"name": f"slot{number}"} for number in range(SLOTS)]
    azure["sites"] = [
        {"id": resource("Microsoft.Web/sites", f"app{number}", properties={})["id"], "slots": slots}
        for number in range(APPS)
    ]
    azure["sites"].append(
        {
            "id": resource("Microsoft.Web/sites", "hub", properties={})["id"],
            "kind": "functionapp,workflowapp",
            "files": {f"w{number}/workflow.json": "{}" for number in range(WORKFLOWS)},
        }
    )
    secrets = [{"name": f"secret{number}", "value": "x"} for number in range(SECRETS)]
    azure["vaults"] += [
        {
            "id": resource("Microsoft.KeyVault/vaults", f"kv-{number}", properties={})["id"],
            "secrets": secrets,
        }
        for number in range(VAULTS)
    ]
    azure["configurationStores"] = [
        {
            "id": resource(
                "Microsoft.AppConfiguration/configurationStores", f"store{number}", properties={}
            )["id"],
            "keyValues": [{"key": f"key{key}", "value": "x"} for key in range(50)],
        }
        for number in range(STORES)
    ]
    azure["containerApps"] = [build_container_app(number) for number in range(CONTAINER_APPS)]
    logic_apps = [f"hub{number}" for number in range(LOGIC_APPS)]
    groups = [f"group{number}" for number in range(GROUPS)]
    azure["resources"] = [
        *azure.get("resources", ()),
        *describe_api_management(),
        resource(_AUTOMATION, "contoso", properties={}),
        resource(f"{_AUTOMATION}/variables", "contoso", "v", properties={"value": '"x"'}),
        resource(f"{_AUTOMATION}/runbooks", "contoso", "new", properties={"state": "New"}),
        *(
            resource(
                f"{_AUTOMATION}/runbooks",
                *("contoso", f"r{number}"),
                properties={"state": "Published", "content": "x"},
            )
            for number in range(RUNBOOKS)
        ),
        *build_data_factories(),
        *build_event_subscriptions(),
        *(resource("Microsoft.Logic/workflows", name, properties={}) for name in logic_apps),
        *(resource("Microsoft.Insights/actionGroups", name, properties={}) for name in groups),
    ]
    projects = [{"id": f"p{number}", "name": "x"} for number in range(PROJECTS)]
    seed["azureDevOps"] = [{"name": "contoso", "members": [APP], "projects": projects}]
    return seed


def build_data_factories() -> Iterator[dict[str, Any]]:
    """Yield factories, each with pipelines."""
    for factory in range(FACTORIES):
        yield resource(_FACTORY, f"factory{factory}", properties={})
        for number in range(PIPELINES):
            names = (f"factory{factory}", f"p{number}")
            yield resource(f"{_FACTORY}/pipelines", *names, properties={"activities": []})


def build_event_subscriptions() -> Iterator[dict[str, Any]]:
    """Yield topics, each with webhooks and queues."""
    webhook = {"endpointType": "WebHook", "properties": {"endpointUrl": "https://x.example/"}}
    queue = {"endpointType": "ServiceBusQueue", "properties": {"resourceId": "q"}}
    for topic in range(TOPICS):
        yield resource("Microsoft.EventGrid/topics", f"topic{topic}", properties={})
        for number, destination in enumerate([webhook] * WEBHOOKS + [queue] * QUEUES):
            yield resource(
                "Microsoft.EventGrid/topics/eventSubscriptions",
                f"topic{topic}",
                f"to{number}",
                properties={"destination": destination},
            )


def build_container_app(number: int) -> dict[str, Any]:
    """Return a container app; the first have secrets, the last several revisions."""
    secrets = [{"name": "key", "value": "x"}] if number < WITH_SECRETS else []
    is_multiple = number >= CONTAINER_APPS - WITH_REVISIONS
    mode = "Multiple" if is_multiple else "Single"
    configuration = {"secrets": secrets, "activeRevisionsMode": mode}
    properties = {"configuration": configuration, "template": {"containers": []}}
    return resource("Microsoft.App/containerApps", f"app{number}", properties=properties)


def kinds_of_rows() -> list[str]:
    """Return the kinds whose callers are rows of Dataverse."""
    return [
        kind.kind for kind in kinds_in("shared.callers") if issubclass(kind, DataverseRowCallers)
    ]


async def test_caller_search_needs_one_request_per_list_and_value_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each list has one page. A vault of the standard seed has one more secret."""
    async with run_adapters(monkeypatch, build_seed()) as app:
        environments, calls = await app.environments.list(), {}
        for name in KINDS:
            before = app.http.calls.total()
            async for _ in kinds_on(app)[name].find(environments):
                pass
            calls[name] = app.http.calls.total() - before

    sites = APPS * (1 + SLOTS) + 1
    vaults, secrets = VAULTS + 1, VAULTS * SECRETS + 1
    assert calls == {
        # Accounts, locks; variables, runbooks, and the text of each published runbook.
        "automation": 2 + 2 + RUNBOOKS,
        # Factories, locks; datasets, global parameters, linked services, pipelines, triggers.
        "data_factory": 2 + FACTORIES * 5,
        # Projects, service hooks, and the variable groups of each project.
        "azure_devops": 2 + PROJECTS,
        # Workspaces, and five lists of the workspace of the standard seed.
        "synapse": 1 + 5,
        # Webhooks, variables and secrets of the repository of the standard seed.
        "github": 3,
        "app_setting": 2 + sites,
        "connection_string": 2 + sites,
        # Resource groups' subscriptions, four kinds of topics, locks.
        "event_grid_subscription": 1 + 4 + 1 + TOPICS + TOPICS * WEBHOOKS,
        # Apps, locks.
        "container_app": 2 + WITH_SECRETS + WITH_REVISIONS,
        "key_vault_secret": 1 + vaults + secrets,
        "app_configuration": 1 + STORES,
        # Resources, locks.
        "logic_app": 2,
        # Apps, slots, locks; the app's workflows, their files and two shared files.
        "logic_app_standard": 3 + 1 + WORKFLOWS + 2,
        "action_group": 2,
        # Services, locks; its APIs, products, backends, named values, fragments, policy.
        "api_management": 2 + 6 + SECRET_VALUES + APIS * (2 + OPERATIONS),
    }


@pytest.mark.parametrize("kind", kinds_of_rows())
async def test_search_of_rows_needs_one_request_per_environment(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment without such tables takes one request, too."""
    async with run_adapters(monkeypatch) as app:
        environments = await app.environments.list()
        before = app.http.calls.total()
        async for _ in kinds_on(app)[kind].find(environments):
            pass
        calls = app.http.calls.total() - before

    assert calls == sum(1 for one in environments if one.dataverse_url)
