import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.core.profiles import Profile
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.dataverse.simulated_table import OPTIONAL_TABLES
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from tests.fakes.definition_builder import build_validation_action
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WIDE, WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import ORDERS, build_orders_seed, build_tenant_seed
from tests.kinds.cases import MOVED_KINDS, load_caller_case
from tests.local_cloud.tenant.tenant_world import APP, GROUP, HTTP, build_definition

URL = f"{{{{trigger_url:{ORDERS}}}}}"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-callers"
SITE = f"{GROUP}/providers/Microsoft.Web/sites/shop"
STORE = f"{GROUP}/providers/Microsoft.AppConfiguration/configurationStores/contoso"
LOGIC_APP = f"{GROUP}/providers/Microsoft.Logic/workflows/hub"
CONTAINER_APP = f"{GROUP}/providers/Microsoft.App/containerApps/till"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/topics/sales"
ACTION_GROUP = f"{GROUP}/providers/Microsoft.Insights/actionGroups/on-call"
FACTORY = f"{GROUP}/providers/Microsoft.DataFactory/factories/contoso"
SYNAPSE = f"{GROUP}/providers/Microsoft.Synapse/workspaces/contoso"
API_MANAGEMENT = f"{GROUP}/providers/Microsoft.ApiManagement/service/contoso"
#: Places that the test data of their kind declares.
DECLARED_PLACES = [places for kind in MOVED_KINDS if (places := load_caller_case(kind).wire)]
#: Tables of Dataverse whose rows can contain a URL.
TABLES = ("serviceendpoints", *(table.entity_set for table in OPTIONAL_TABLES))
SITE_ROW = "51000000-0000-4000-8000-0000000000a1"
#: Set by Azure and Dataverse, and new after each write.
CHANGING = {
    *("version", "changedTime", "createdTime", "provisioningState"),
    *("latestRevisionName", "latestReadyRevisionName"),
    *("modifiedon", "versionnumber"),
}
#: Types of which only the properties are written.
TYPES_WITH_PROPERTIES = (
    "Microsoft.ApiManagement/service/backends",
    "Microsoft.ApiManagement/service/namedValues",
    "Microsoft.ApiManagement/service/apis/operations/policies",
    "Microsoft.ApiManagement/service/policyFragments",
    "Microsoft.DataFactory/factories/pipelines",
    "Microsoft.DataFactory/factories/linkedservices",
    "Microsoft.DataFactory/factories/datasets",
    "Microsoft.DataFactory/factories/globalParameters",
    "Microsoft.Synapse/workspaces/datasets",
    "Microsoft.Synapse/workspaces/linkedservices",
    "Microsoft.Synapse/workspaces/notebooks",
    "Microsoft.Synapse/workspaces/pipelines",
    "Microsoft.Web/sites/config",
)


def build_tenant_with_callers(profile: Profile) -> dict[str, Any]:
    """Return the seed of a tenant whose flow has a caller of each kind."""
    flow = build_orders_seed()
    flow["definition"] = build_definition(HTTP, {"Validate": build_validation_action()})
    webhook = {"name": "sales", "url": f"{URL}&from=crm", "authvalue": "x", "contract": 8}
    seed = build_tenant_seed(
        flow, profile=profile, serviceEndpoints=[webhook], rows=describe_sites()
    )
    azure = seed["azure"]
    secret = {"name": "url", "value": URL, "contentType": "text/uri", "tags": {"team": "x"}}
    azure["vaults"].append({"id": VAULT, "secrets": [secret]})
    string = {"Flow": {"type": "Custom", "value": URL}, "Db": {"type": "SQLAzure", "value": "x"}}
    settings = {"COLOUR": "blue", "FLOW": f'{{"url": "{URL}", "retries": 3}}'}
    slot = {"name": "staging", "appSettings": {"FLOW": f"{URL}&from=staging"}}
    site = {"id": SITE, "appSettings": settings, "connectionStrings": string, "slots": [slot]}
    action = {"type": "Http", "inputs": {"method": "POST", "uri": URL}}
    workflow = json.dumps({"definition": {"actions": {"Call": action}}}, indent=2)
    files = {"call/workflow.json": workflow, "parameters.json": "{}", "host.json": "{}"}
    hub = {"id": f"{SITE}-hub", "kind": "functionapp,workflowapp", "files": files}
    azure["sites"] = [site, hub]
    key = {"key": "Flow", "label": "prod", "value": URL, "tags": {"team": "x"}}
    azure["configurationStores"] = [{"id": STORE, "keyValues": [key, {"key": "A", "value": "b"}]}]
    variables = [{"name": "FLOW", "secretRef": "flow"}, {"name": "ALSO", "value": f"{URL}&from=2"}]
    secrets = [{"name": "flow", "value": URL}, {"name": "db", "value": "x"}]
    azure["containerApps"] = [
        {
            "id": CONTAINER_APP,
            "tags": {"team": "x"},
            "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
            "properties": {
                "configuration": {"secrets": secrets},
                "template": {"containers": [{"name": "web", "env": variables}]},
            },
        }
    ]
    webhook = {"endpointUrl": URL, "maxEventsPerBatch": 1}
    call = {"type": "Http", "inputs": {"method": "POST", "uri": URL}}
    hub = {"parameters": {}, "triggers": {}, "actions": {"Call": call}}
    azure["resources"] = [
        *describe_api_management(),
        *describe_data_factory(),
        *describe_synapse(),
        {
            "id": LOGIC_APP,
            "type": "Microsoft.Logic/workflows",
            "location": "westeurope",
            "tags": {"team": "x"},
            "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
            "properties": {"state": "Enabled", "parameters": {}, "definition": hub},
        },
        {"id": TOPIC, "type": "Microsoft.EventGrid/topics", "location": "westeurope"},
        {
            "id": f"{TOPIC}/eventSubscriptions/flow",
            "type": "Microsoft.EventGrid/topics/eventSubscriptions",
            "properties": {
                "destination": {"endpointType": "WebHook", "properties": webhook},
                "filter": {"subjectBeginsWith": "sales"},
                "labels": ["x"],
            },
        },
        {
            "id": ACTION_GROUP,
            "type": "Microsoft.Insights/actionGroups",
            "location": "Global",
            "properties": {
                "groupShortName": "on-call",
                "enabled": True,
                "webhookReceivers": [{"name": "flow", "serviceUri": URL}],
            },
        },
    ]
    for places in DECLARED_PLACES:
        places.add(seed, URL)
    return seed


def describe_data_factory() -> list[dict[str, Any]]:
    parameters = {"url": {"type": "string", "value": f"{URL}&from=adf"}}
    parts = describe_parts(FACTORY) | {"globalParameters/default": parameters}
    return describe_below(FACTORY, {"": {}, **parts})


def describe_synapse() -> list[dict[str, Any]]:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": [f'post("{URL}")\n']}
    notebook = {"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [cell]}
    parts = describe_parts(SYNAPSE) | {"notebooks/Send mail": notebook}
    return [
        {"id": SYNAPSE, "type": get_type(SYNAPSE), "properties": {}, "members": [APP]},
        *describe_below(SYNAPSE, parts),
    ]


def describe_parts(owner: str) -> dict[str, dict[str, Any]]:
    added = f"{URL}&from={owner.rpartition('/')[0].rpartition('/')[2]}"
    call = {"typeProperties": {"url": added, "method": "POST"}, "name": "Call", "type": "WebHook"}
    rest = {"url": URL, "enableServerCertificateValidation": True}
    service = {"referenceName": "flow", "type": "LinkedServiceReference"}
    location = {"location": {"relativeUrl": URL}}
    return {
        "pipelines/nightly": {"parameters": {}, "activities": [call], "annotations": ["x"]},
        "linkedservices/flow": {"type": "RestService", "typeProperties": rest},
        "datasets/flow": {
            "type": "Json",
            "typeProperties": location,
            "linkedServiceName": service,
        },
    }


def describe_below(owner: str, places: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return resources by their path below `owner`. The empty path means `owner` itself."""
    return [
        {
            "id": (identity := f"{owner}/{path}".rstrip("/")),
            "type": get_type(identity),
            "properties": properties,
        }
        for path, properties in places.items()
    ]


def get_type(resource_id: str) -> str:
    """Return the type in the id of a resource, for example `Microsoft.Web/sites`."""
    namespace, *path = resource_id.rpartition("/providers/")[2].split("/")
    return "/".join((namespace, *path[::2]))


def describe_sites() -> dict[str, list[dict[str, Any]]]:
    sites = {"_powerpagesiteid_value": SITE_ROW}
    websites = {"_adx_websiteid_value": SITE_ROW}
    setting = {"content": f'{{"value": "{URL}", "source": 0}}'}
    page = {"content": f'{{\r\n  "copy": "<a href=\\"{URL}\\">x</a>"\r\n}}'}
    script = f'fetch("{URL}")'
    return {
        "powerpagesites": [{"powerpagesiteid": SITE_ROW, "name": "Contoso"}],
        "powerpagecomponents": [
            {"name": "Flow/Url", "powerpagecomponenttype": 9, **setting, **sites},
            {"name": "Home", "powerpagecomponenttype": 2, **page, **sites},
            {"name": "Other", "powerpagecomponenttype": 8, "content": "{}", **sites},
        ],
        "adx_websites": [{"adx_websiteid": SITE_ROW, "adx_name": "Fabrikam"}],
        "adx_sitesettings": [{"adx_name": "Flow/Url", "adx_value": URL, **websites}],
        "adx_contentsnippets": [{"adx_name": "Flow", "adx_value": f"<b> {URL} </b>", **websites}],
        "adx_webtemplates": [{"adx_name": "Flow", "adx_source": script, **websites}],
        "adx_webpages": [
            {"adx_name": "Home", "adx_copy": URL, "adx_customjavascript": script, **websites}
        ],
    }


def describe_api_management() -> list[dict[str, Any]]:
    call = f'<send-request><set-url>@("{URL}")</set-url></send-request>'
    inbound = f'<choose a="@(1 < 2)" />{call}<include-fragment fragment-id="notify" />'
    policy = f"<policies>\r\n  <inbound>{inbound}</inbound>\r\n</policies>"
    places: dict[str, dict[str, Any]] = {
        "": {},
        "backends/crm": {"url": URL, "protocol": "http", "title": "CRM"},
        "namedValues/open": {"displayName": "open", "value": f"{URL}&from=apim", "tags": ["x"]},
        "namedValues/secret": {"displayName": "secret", "secret": True, "value": URL},
        "namedValues/vault": {"displayName": "vault", "secret": True, "keyVault": {}},
        "apis/sales": {"path": "sales", "serviceUrl": "https://erp.contoso.example"},
        "apis/sales/operations/post": {"method": "POST"},
        "apis/sales/operations/post/policies/policy": {"value": policy},
        "policyFragments/notify": {
            "description": "x",
            "value": f"<fragment>{call}</fragment>",
        },
    }
    return describe_below(API_MANAGEMENT, places)


def read_declared_places(tenant: Tenant, *, is_opt_in: bool = False) -> dict[str, object]:
    """Return the content of the places in `DECLARED_PLACES`. With `is_opt_in`, return only those
    that need a setting to be searched.
    """
    places: dict[str, object] = {}
    for one in DECLARED_PLACES:
        if one.settings or not is_opt_in:
            places |= one.read(tenant)
    return places


def read_places(scenario: WireScenario) -> dict[str, str]:
    azure = scenario.tenant.get_part(Azure)
    places: dict[str, object] = {
        "variables in use": read_variables_in_use(azure),
        **read_declared_places(scenario.tenant),
    }
    for kind in (
        "Microsoft.App/containerApps",
        "Microsoft.EventGrid/topics/eventSubscriptions",
        "Microsoft.Insights/actionGroups",
        "Microsoft.Logic/workflows",
    ):
        places |= {
            each["id"]: remove_volatile_members(each) for each in azure.resources.list_of_type(kind)
        }
    for kind in TYPES_WITH_PROPERTIES:
        places |= {one["id"]: one["properties"] for one in azure.resources.list_of_type(kind)}
    for site_id, files in azure.site_files.items():
        places |= {f"{site_id} {path}": content.decode() for path, content in files.items()}
    for name, key_values in azure.configuration_stores.items():
        for (key, label), found in key_values.items():
            places[f"{name} {key} {label}"] = [found.value, found.content_type, found.tags]
    places |= read_rows(scenario)
    for secret in azure.vaults["kv-callers"].secrets.values():
        newest = secret.versions[-1]
        places[secret.name] = [newest.value, newest.content_type, newest.tags]
    return {place: json.dumps(content) for place, content in places.items()}


def read_rows(scenario: WireScenario) -> dict[str, object]:
    return {
        f"{table} {row_id}": {name: value for name, value in row.items() if name not in CHANGING}
        for table in TABLES
        for row_id, row in scenario.environment.get_table(table).items()
    }


def read_variables_in_use(azure: Azure) -> list[dict[str, str]]:
    """Return the variables of each active revision as its containers read them."""
    revisions = azure.resources.list_of_type("Microsoft.App/containerApps/revisions")
    return [
        azure.container_variables[one["id"].lower()]
        for one in revisions
        if one["properties"]["active"]
    ]


def remove_volatile_members(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a resource without what Azure itself sets, so that it can be compared."""
    properties = {
        name: value for name, value in resource["properties"].items() if name not in CHANGING
    }
    identity = {"type": resource["identity"]["type"]} if "identity" in resource else {}
    return dict(sorted({**resource, "properties": properties, "identity": identity}.items()))


def hash_places(scenario: WireScenario) -> dict[str, str]:
    """Return a hash of each place's content, without the time that Azure sets at each write."""
    set_by_azure = re.compile(r',? ?"lastPublishTime": ?"[^"]*"')
    return {
        place: hashlib.sha256(set_by_azure.sub("", text).encode()).hexdigest()
        for place, text in read_places(scenario).items()
    }


async def call_from_everywhere(scenario: WireScenario) -> list[int]:
    """Call each URL in each place, and return the statuses."""
    texts = read_places(scenario).values()
    urls = [url for text in texts for url in re.findall(r'https://[^\s"\\]+/invoke[^\s"\\]+', text)]
    return [await scenario.post(url) for url in urls]


@on_both_platforms
async def test_callers_of_each_kind_are_updated_and_reverted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    settings: dict[str, Any] = dict(WIDE)
    for places in DECLARED_PLACES:
        settings |= places.settings
    seed = build_tenant_with_callers(profile)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed, settings) as scenario:
        before, statuses = hash_places(scenario), await call_from_everywhere(scenario)

        await scenario.order(run=timedelta(0))
        for wait in [timedelta(minutes=10)] * 6 + [timedelta(days=2)] * 10:
            await scenario.run(wait)
            statuses += await call_from_everywhere(scenario)
        job = await scenario.read_job()
        moved = hash_places(scenario)
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        for wait in [timedelta(minutes=10)] * 6 + [timedelta(days=2)] * 10:
            await scenario.run(wait)
            statuses += await call_from_everywhere(scenario)

        assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
        declared = read_declared_places(scenario.tenant).keys()
        changed = {place for place in before if moved[place] != before[place]}
        assert len(changed - declared) == 31
        assert declared <= changed
        assert (await scenario.read_job()).state is FlowJobState.ROLLED_BACK
        assert hash_places(scenario) == before
        assert set(statuses) == {200}


@pytest.mark.parametrize(
    ("code", "message", "minutes"),
    [
        (
            "ServiceLocked",
            "The API Service contoso is transitioning at this time.",
            40,
        ),
        ("PessimisticConcurrencyConflict", "Operation on the API is in progress", 15),
    ],
)
async def test_write_waits_until_api_management_is_not_busy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, message: str, minutes: int
) -> None:
    seed = build_tenant_seed(build_orders_seed())
    seed["azure"]["resources"] = describe_below(
        API_MANAGEMENT, {"": {}, "backends/crm": {"url": URL, "protocol": "http"}}
    )
    fault = Fault(route="resource_manager.update_backend", times=None, status=409, code=code)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        (before,) = read_backends(scenario)
        scenario.tenant.faults.add(replace(fault, message=message))

        await scenario.order(run=timedelta(minutes=minutes))
        waiting = await scenario.read_job()
        scenario.tenant.faults.clear()
        await scenario.run(timedelta(days=40))
        retired, (moved,) = await scenario.read_job(), read_backends(scenario)
        scenario.tenant.faults.add(replace(fault, message=message))
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        await scenario.run(timedelta(minutes=minutes))
        waiting_again = await scenario.read_job()
        scenario.tenant.faults.clear()
        await scenario.run(timedelta(days=40))

        for job in (waiting, waiting_again):
            assert job.state is FlowJobState.WAITING
            assert message in job.message
        assert retired.state is FlowJobState.RETIRED
        assert moved == scenario.get_trigger_url(retired.copy.id)
        job = await scenario.read_job()
        assert job.state is FlowJobState.ROLLED_BACK
        assert FlowJobState.BLOCKED not in {one.state for one in job.history}
        assert read_backends(scenario) == [before]


def read_backends(scenario: WireScenario) -> list[str]:
    backends = scenario.tenant.get_part(Azure).resources.list_of_type(
        "Microsoft.ApiManagement/service/backends"
    )
    return [one["properties"]["url"] for one in backends]
