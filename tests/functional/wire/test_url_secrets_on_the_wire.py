import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.tenant.azure.container_apps import (
    CONTAINER_APPS,
    get_container_variables,
    list_revisions,
)
from local_cloud.tenant.azure.named_values import read_named_value
from local_cloud.tenant.azure.site_runtime import get_configuration, get_running_settings
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.profiles import Profile
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases import change_remediation
from shared.use_cases.change_environment import change_environment
from tests.fakes.azure_caller_builder import SECRETS_USER
from tests.functional.scenarios.remediation_scenario import on_both_platforms
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import (
    ORDERS,
    build_orders_seed,
    build_tenant_seed,
)
from tests.local_cloud.tenant.tenant_world import ENVIRONMENT, GROUP

URL = f"{{{{trigger_url:{ORDERS}}}}}"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-urls"
VAULT_URL = "https://kv-urls.vault.azure.net"
SITES = [f"{GROUP}/providers/Microsoft.Web/sites/{name}" for name in ("shop", "portal", "closed")]
SERVICE = f"{GROUP}/providers/Microsoft.ApiManagement/service/apim"
NAMED_VALUE = f"{SERVICE}/namedValues/flow"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reader"
CONTAINER_APP = f"{GROUP}/providers/Microsoft.App/containerApps/till"
REFERENCE = f"@Microsoft.KeyVault(SecretUri={VAULT_URL}/secrets/trigger-url-{ORDERS})"


def build_tenant(profile: Profile) -> dict[str, Any]:
    """Return the seed of a tenant with a flow and its callers. The third of the three apps may not
    read the vault.
    """
    seed = build_tenant_seed(build_orders_seed(), profile=profile)
    azure = seed["azure"]
    azure["vaults"].append({"id": VAULT})
    azure["sites"] = [
        {
            "id": site,
            "identity": {"type": "SystemAssigned", "principalId": site[-4:]},
            "appSettings": {"COLOUR": "blue", "FLOW": URL},
        }
        for site in SITES
    ]
    azure["resources"] = [
        {
            "id": SERVICE,
            "type": "Microsoft.ApiManagement/service",
            "identity": {"type": "SystemAssigned", "principalId": SERVICE[-4:]},
            "properties": {},
        },
        {
            "id": NAMED_VALUE,
            "type": "Microsoft.ApiManagement/service/namedValues",
            "properties": {"displayName": "flow", "secret": True, "tags": ["x"], "value": URL},
        },
    ]
    variables = [{"name": "FLOW", "secretRef": "flow"}]
    azure["containerApps"] = [
        {
            "id": CONTAINER_APP,
            "identity": {"type": "SystemAssigned", "principalId": CONTAINER_APP[-4:]},
            "properties": {
                "configuration": {"secrets": [{"name": "flow", "value": URL}]},
                "template": {"containers": [{"name": "web", "env": variables}]},
            },
        }
    ]
    azure["configurationStores"] = [
        {
            "id": f"{GROUP}/providers/Microsoft.AppConfiguration/configurationStores/urls",
            "keyValues": [
                {
                    "key": "Flow",
                    "label": "live",
                    "value": URL,
                    "contentType": "text/plain",
                    "tags": {"team": "x"},
                }
            ],
        }
    ]
    azure["roleAssignments"] += [
        {
            "scope": VAULT,
            "roleDefinitionId": f"/roleDefinitions/{SECRETS_USER}",
            "principalId": reader[-4:],
        }
        for reader in (*SITES[:2], SERVICE, CONTAINER_APP)
    ]
    return seed


def read_settings(scenario: WireScenario) -> list[dict[str, Any]]:
    azure = scenario.tenant.get_part(Azure)
    return [dict(get_configuration(azure, site, "appsettings")) for site in SITES]


def read_named_value_properties(scenario: WireScenario) -> dict[str, Any]:
    resources = scenario.tenant.get_part(Azure).resources
    document = resources.find("Microsoft.ApiManagement/service/namedValues", NAMED_VALUE)
    assert document
    return dict(document["properties"])


async def call_from_apps(scenario: WireScenario) -> list[int]:
    """Call the URL that each caller's code gets, with references resolved. Return the statuses."""
    azure, now = scenario.tenant.get_part(Azure), scenario.tenant.clock.now()
    urls = [get_running_settings(azure, site, now).get("FLOW", "") for site in SITES]
    named = {"id": NAMED_VALUE, "properties": read_named_value_properties(scenario)}
    urls.append(read_named_value(azure, named, now))
    urls += [
        get_container_variables(azure, revision, now)["web/FLOW"]
        for revision in list_revisions(azure, CONTAINER_APP)
        if revision["properties"]["active"]
    ]
    urls.append(read_url_in_store(scenario))
    return [await scenario.post(url) for url in urls]


def read_key_value(scenario: WireScenario) -> dict[str, Any]:
    """Return the key-value of App Configuration, without the properties that each write changes."""
    [key_values] = scenario.tenant.get_part(Azure).configuration_stores.values()
    [key_value] = key_values.values()
    shown = key_value.to_json()
    return {name: shown[name] for name in shown if name not in {"etag", "last_modified"}}


def read_url_in_store(scenario: WireScenario) -> str:
    """Return the URL in App Configuration, as a reader that resolves references gets it."""
    key_value = read_key_value(scenario)
    if "keyvaultref" not in key_value["content_type"]:
        return str(key_value["value"])
    name = json.loads(key_value["value"])["uri"].rpartition("/")[2]
    secret = scenario.tenant.get_part(Azure).vaults["kv-urls"].secrets[name]
    return secret.latest.value


def read_app_secrets(scenario: WireScenario) -> list[dict[str, Any]]:
    document = scenario.tenant.get_part(Azure).resources.find(CONTAINER_APPS, CONTAINER_APP)
    assert document
    return [dict(one) for one in document["properties"]["configuration"]["secrets"]]


@on_both_platforms
async def test_apps_refer_to_a_secret_and_are_reverted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    monkeypatch.setenv("CMK_TRIGGER_URL_VAULT", VAULT_URL)
    async with serve_wire_scenario(monkeypatch, tmp_path, build_tenant(profile)) as scenario:
        before, statuses = read_settings(scenario), await call_from_apps(scenario)
        named_value, secrets = read_named_value_properties(scenario), read_app_secrets(scenario)
        waits = [timedelta(minutes=10)] * 6 + [timedelta(days=2)] * 10

        await scenario.order(run=timedelta(0))
        for wait in waits:
            await scenario.run(wait)
            statuses += await call_from_apps(scenario)
        job, moved = await scenario.read_job(), [one["FLOW"] for one in read_settings(scenario)]
        in_vault = read_named_value_properties(scenario)["keyVault"]
        of_app = read_app_secrets(scenario)
        secret = scenario.tenant.get_part(Azure).vaults["kv-urls"].secrets[f"trigger-url-{ORDERS}"]
        url, tags = secret.latest.value, secret.latest.tags
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        for wait in waits:
            await scenario.run(wait)
            statuses += await call_from_apps(scenario)

        assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
        assert moved == [REFERENCE, REFERENCE, url]
        uri = f"{VAULT_URL}/secrets/trigger-url-{ORDERS}"
        assert in_vault["secretIdentifier"] == uri
        assert of_app == [{"name": "flow", "keyVaultUrl": uri, "identity": "system"}]
        assert tags == {"cmk-environment-id": job.environment_id, "cmk-flow-id": ORDERS}
        assert (await scenario.read_job()).state is FlowJobState.ROLLED_BACK
        assert read_settings(scenario) == before
        assert read_named_value_properties(scenario) == named_value
        assert read_app_secrets(scenario) == secrets
        assert secret.latest.value == before[0]["FLOW"]
        assert set(statuses) == {202}
        assert scenario.find_leaked_signatures() == []


def assign_user_identity(seed: dict[str, Any]) -> None:
    """Let only a user-assigned identity read the secret, and make the named value a plain one."""
    azure = seed["azure"]
    service, named_value = azure["resources"]
    named_value["properties"]["secret"] = False
    azure["sites"] = azure["sites"][:1]
    azure["sites"][0]["properties"] = {"keyVaultReferenceIdentity": IDENTITY}
    assigned = {"principalId": "reader", "clientId": "client of reader"}
    for resource in (service, *azure["sites"], *azure["containerApps"]):
        resource["identity"] = {
            "type": "SystemAssigned, UserAssigned",
            "principalId": "no right",
            "userAssignedIdentities": {IDENTITY: assigned},
        }
    *others, _, _, _, role = azure["roleAssignments"]
    azure["roleAssignments"] = [*others, role | {"principalId": "reader"}]


@on_both_platforms
async def test_user_assigned_identities_read_the_secret_and_all_is_reverted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: Profile
) -> None:
    monkeypatch.setenv("CMK_TRIGGER_URL_VAULT", VAULT_URL)
    monkeypatch.setattr(f"{__name__}.SITES", SITES[:1])
    seed = build_tenant(profile)
    assign_user_identity(seed)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before, statuses = read_settings(scenario), await call_from_apps(scenario)
        named_value, secrets = read_named_value_properties(scenario), read_app_secrets(scenario)
        key_value = read_key_value(scenario)
        await change_environment(
            scenario.services, ENVIRONMENT, {"has_url_secrets_in_app_configuration": True}
        )
        waits = [timedelta(minutes=10)] * 6 + [timedelta(days=2)] * 10

        await scenario.order(run=timedelta(0))
        for wait in waits:
            await scenario.run(wait)
            statuses += await call_from_apps(scenario)
        job, moved = await scenario.read_job(), read_settings(scenario)[0]["FLOW"]
        in_store = read_key_value(scenario)
        in_vault, of_app = read_named_value_properties(scenario), read_app_secrets(scenario)
        await change_remediation.roll_back(scenario.services, scenario.remediation.id)
        for wait in waits:
            await scenario.run(wait)
            statuses += await call_from_apps(scenario)

        assert job.state is FlowJobState.RETIRED, (job.message, job.fix)
        assert moved == REFERENCE
        assert in_vault["secret"] is True
        assert in_vault["keyVault"]["identityClientId"] == "client of reader"
        assert [one["identity"] for one in of_app] == [IDENTITY]
        assert (await scenario.read_job()).state is FlowJobState.ROLLED_BACK
        assert read_settings(scenario) == before
        assert read_named_value_properties(scenario) == named_value
        assert named_value["secret"] is False
        uri = f"{VAULT_URL}/secrets/trigger-url-{ORDERS}"
        assert in_store == key_value | {
            "value": json.dumps({"uri": uri}, separators=(",", ":")),
            "content_type": "application/vnd.microsoft.appconfig.keyvaultref+json;charset=utf-8",
        }
        assert read_key_value(scenario) == key_value
        assert read_app_secrets(scenario) == secrets
        assert set(statuses) == {202}
        assert scenario.find_leaked_signatures() == []
