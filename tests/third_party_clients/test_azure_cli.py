"""Test the `az` commands that the app prints or a document names, with the real Azure CLI."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.azure.api_management import SERVICE as API_MANAGEMENT
from local_cloud.tenant.azure.key_values import STORES
from local_cloud.tenant.azure.writable_services import TOPICS
from local_cloud.tenant.seed.azure import seed_azure
from shared.domain.network.firewall_issue import FirewallIssue
from shared.firewalls import build_firewall_kinds
from tests.bicep_compiler import COMPILER, needs_compiler
from tests.contract.adapter_world import SUBSCRIPTION
from tests.documented_commands import ROOT, Command, list_documented_commands
from tests.kinds.case import HOST
from tests.kinds.cases import FIREWALL_KINDS, load_firewall_case
from tests.local_cloud.tenant.tenant_world import APP, GROUP
from tests.third_party_clients.azure_cli import AzureCli, needs_azure_cli, sign_in_to_azure_cli
from tests.third_party_clients.documented import compare_answers
from tests.third_party_clients.template_deployments import ReceivedDeployments
from tests.unit.uncovered import find_required_issues

pytestmark = needs_azure_cli
#: Few ranges, as a database server takes a command for each.
TAGS = [
    {"name": "PowerPlatformPlex.WestEurope", "addressPrefixes": ["20.61.88.128/26"]},
    {
        "name": "PowerPlatformPlex.NorthEurope",
        "addressPrefixes": ["4.207.189.192/26", "2603:1061:2004:7900::/56"],
    },
    {"name": "LogicApps.WestEurope", "addressPrefixes": ["13.69.71.0/25"]},
    {"name": "LogicApps.NorthEurope", "addressPrefixes": ["13.69.231.160/27"]},
]


async def find_issues(cli: AzureCli, kind: str) -> list[FirewallIssue]:
    app, name = cli.app, load_firewall_case(kind).name
    firewalls = await build_firewall_kinds(app.resources)[kind].read()
    tags = await app.service_tags.get_list()
    return find_required_issues(
        [one for one in firewalls if one.name == name], "europe", [HOST], tags
    )


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_printed_fix_commands_allow_all_new_addresses(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with sign_in_to_azure_cli(monkeypatch, tmp_path, [{"serviceTags": TAGS}]) as cli:
        case, tags = load_firewall_case(kind), await cli.app.service_tags.get_list()
        seed_azure(cli.app.world.tenant, case.seed(case.build_sources(["LogicApps"], tags)))
        [gap] = await find_issues(cli, kind)

        repair = await build_firewall_kinds(cli.app.resources)[kind].propose_fix(gap)
        await cli.run(repair.azure_cli)

        assert await find_issues(cli, kind) == []


#: The start of a command in a document → what its placeholders stand for here.
PLACEHOLDERS = {
    "az eventgrid topic create": {"GROUP": "rg"},
    "az role assignment create": {"PRINCIPAL": APP, "TOPIC-ID": GROUP},
    "az functionapp keys list": {"RG": "rg", "APP": "shop"},
    "az functionapp start": {"rg-new": "rg", "APP": "shop"},
    "az functionapp stop": {"rg-prod": "rg", "rg-new": "rg", "APP": "shop"},
    "az functionapp list-flexconsumption-locations": {},
    "az eventgrid system-topic list": {},
    "az provider register --namespace": {},
    "az cloud set --name": {},
    "az rest --method post": {"IDENTITY": APP, "SERVICE-PRINCIPAL": APP, "ROLE": APP},
}
#: Opens a browser; every test here signs in as a service principal instead.
SIGN_IN = ("az", "login")
#: Printed by the app in an example, and run above as a fix of its kind.
PRINTED = ("az", "network", "nsg", "rule", "create")
#: Needs a service that receives templates, and the compiler: the test of its own is below.
DEPLOYMENT = ("az", "deployment", "sub", "create")
#: Lists what only a real subscription can show.
ON_A_REAL_TENANT = "docs/verify-on-a-real-tenant.md"
TOPIC = {
    "id": f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/keys",
    "type": "Microsoft.EventGrid/systemTopics",
    "location": "westeurope",
    "properties": {
        "topicType": "microsoft.keyvault.vaults",
        "source": f"/subscriptions/{SUBSCRIPTION}",
    },
}


def read_commands() -> list[Command]:
    """Return those `az` commands of all documents that work on the local tenant."""
    return [
        one
        for one in list_documented_commands()
        if one.words[0] == "az"
        and one.page != ON_A_REAL_TENANT
        and one.words not in {SIGN_IN, PRINTED}
        and one.words[:4] != DEPLOYMENT
    ]


@pytest.mark.parametrize("command", read_commands(), ids=str)
async def test_documented_command_works(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    [names] = [names for start, names in PLACEHOLDERS.items() if command.text.startswith(start)]
    text = command.text
    for placeholder, name in names.items():
        text = text.replace(placeholder, name)

    async with sign_in_to_azure_cli(monkeypatch, tmp_path, [{"resources": [TOPIC]}]) as cli:
        await cli.run(text)


_COMPILER = Path(COMPILER).absolute()


@needs_compiler
async def test_documented_deployment_sends_the_template_with_its_parameters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The Azure CLI compiles the template, and rejects a parameter that the template does not
    have.
    """
    [command] = [one for one in list_documented_commands() if one.words[:4] == DEPLOYMENT]
    received = ReceivedDeployments()
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    bicep = tmp_path / "bicep"
    # Without a library of ICU, as in tests/bicep_compiler.py.
    bicep.write_text(f'#!/bin/sh\nDOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 exec {_COMPILER} "$@"\n')
    bicep.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with sign_in_to_azure_cli(monkeypatch, tmp_path, services=received.services) as cli:
        await cli.run("az config set bicep.use_binary_from_path=true bicep.check_version=false")
        await cli.run(command.text)
        with pytest.raises(AssertionError, match="unrecognized template parameter"):
            await cli.run(command.text.replace("environmentName=", "environment="))

    [body] = received.bodies
    assert body["location"] == "westeurope"
    given = body["properties"]["parameters"]
    assert {name: one["value"] for name, one in given.items()} == {
        "environmentName": "prod",
        "location": "westeurope",
        "signInClientId": "CLIENT-ID",
        "watchedSubscriptionIds": "SUBSCRIPTION-IDS",
    }
    deployed = [one["type"] for one in read_resources(body["properties"]["template"])]
    assert "Microsoft.Resources/resourceGroups" in deployed


def read_resources(template: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the resources of a compiled template. In its JSON, they are a list or an object."""
    resources = template["resources"]
    return list(resources.values()) if isinstance(resources, dict) else resources


_EVENTS = "az eventgrid topic event-subscription"
_FLOW = "-g rg --topic-name sales -n flow"
_KEY = "--endpoint https://contoso.azconfig.io --auth-mode login --key Colour"
#: What people type to look at what the app found, and to change it by hand → a part of the answer.
EVERYDAY = {
    "az account list-locations --query [].name": "westeurope",
    "az provider list --query [].namespace": "Microsoft.KeyVault",
    "az provider register --namespace Microsoft.Web": "",
    "az group list --query [].name": "rg",
    "az resource list --resource-group rg --name shop --query [].type": "Microsoft.Web/sites",
    "az resource list --resource-type Microsoft.Web/sites --query [].name": "shop",
    "az resource show -g rg -n shop --resource-type Microsoft.Web/sites --query name": "shop",
    "az webapp list -g rg --query [].name": "shop",
    "az webapp show -g rg -n shop --query serverFarmId": "serverfarms/plan",
    "az webapp deployment slot list -g rg -n shop --query [].name": "staging",
    "az webapp deployment list-publishing-profiles -g rg -n shop --xml": "MSDeploy",
    "az webapp config appsettings list -g rg -n shop --query [].name": "COLOUR",
    "az webapp config appsettings list -g rg -n shop -s staging --query [].name": "SHADE",
    "az webapp config appsettings set -g rg -n shop --settings SIZE=big": "SIZE",
    "az webapp config access-restriction show -g rg -n shop": "Allow all",
    "az webapp restart -g rg -n shop": "",
    "az logicapp list -g rg --query [].name": "hub",
    "az logicapp config appsettings set -g rg -n hub --settings SIZE=big": "SIZE",
    "az logicapp config appsettings list -g rg -n hub --query [].name": "SIZE",
    "az containerapp list --query [].name": "kiosk",
    "az containerapp secret list -g rg -n kiosk --show-values --query [].value": "old",
    "az containerapp secret set -g rg -n kiosk --secrets flow=new --query [].name": "flow",
    "az containerapp update -g rg -n kiosk --set-env-vars A=b --query name": "kiosk",
    "az containerapp revision list -g rg -n kiosk --query [].properties.active": "true",
    "az monitor action-group list -g rg --query [].name": "on-call",
    "az monitor action-group update -g rg -n on-call --add-action webhook flow https://y.example": (
        "y.example"
    ),
    "az apim nv list -g rg --service-name contoso-api --query [].name": "flow",
    "az apim nv show-secret -g rg --service-name contoso-api --named-value-id flow": "x.example",
    "az apim nv update -g rg --service-name contoso-api --named-value-id flow --value new": "flow",
    f"az appconfig kv set {_KEY} --value green --yes": "green",
    f"az appconfig kv list {_KEY} --query [].value": "green",
    "az eventgrid topic list --query [].name": "sales",
    f"{_EVENTS} list -g rg --topic-name sales --query [].name": "flow",
    f"{_EVENTS} show {_FLOW} --query destination.endpointBaseUrl": "x.example",
    f"{_EVENTS} show {_FLOW} --include-full-endpoint-url": "key=1",
    f"{_EVENTS} update {_FLOW} --endpoint https://y.example/?key=2": "y.exa",
    "az keyvault list --query [].name": "kv-cmk",
    "az keyvault secret list --vault-name kv-cmk --query [].name": "orders-url",
    "az keyvault key list --vault-name kv-cmk --query [].name": "pp-cmk",
}


async def test_everyday_commands_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    slot: dict[str, object] = {
        "id": f"{GROUP}/providers/Microsoft.Web/sites/shop/slots/staging",
        "appSettings": {"SHADE": "green"},
    }
    topics = [
        {"id": f"{GROUP}/providers/Microsoft.EventGrid/topics/sales", "type": TOPICS},
        {
            "id": f"{GROUP}/providers/Microsoft.EventGrid/topics/sales/eventSubscriptions/flow",
            "type": f"{TOPICS}/eventSubscriptions",
            "properties": {
                "destination": {
                    "endpointType": "WebHook",
                    "properties": {"endpointUrl": "https://x.example/?key=1"},
                }
            },
        },
    ]
    hub = {"id": f"{GROUP}/providers/Microsoft.Web/sites/hub", "kind": "functionapp,workflowapp"}
    store = {
        "id": f"{GROUP}/providers/{STORES}/contoso",
        "keyValues": [{"key": "Colour", "value": "blue"}],
    }
    service = {"id": f"{GROUP}/providers/{API_MANAGEMENT}/contoso-api", "type": API_MANAGEMENT}
    named_value = {
        "id": f"{service['id']}/namedValues/flow",
        "type": f"{API_MANAGEMENT}/namedValues",
        "properties": {"displayName": "flow", "secret": True, "value": "https://x.example"},
    }
    action_group = {
        "id": f"{GROUP}/providers/Microsoft.Insights/actionGroups/on-call",
        "type": "Microsoft.Insights/actionGroups",
        "location": "Global",
        "properties": {"groupShortName": "on-call", "enabled": True},
    }
    resources = [*topics, service, named_value, action_group]
    seed = [{"sites": [slot, hub], "configurationStores": [store], "resources": resources}]
    async with sign_in_to_azure_cli(monkeypatch, tmp_path, seed) as cli:
        for command, part in EVERYDAY.items():
            with subtests.test(command):
                assert part in await cli.run(command)
        version = json.loads(await cli.run("az version"))["azure-cli"]
    rows = [(command.removeprefix("az "), "works") for command in EVERYDAY]
    compare_answers("Azure CLI", f"`azure-cli` {version}", rows)
