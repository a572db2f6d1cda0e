import gc
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import ContainerClient

from local_cloud.service_bus import LocalServiceBus
from local_cloud.service_bus.configuration import QueueSettings
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.core.profiles import Profile
from shared.adapters.archive.blob import BlobArchive
from shared.adapters.http.policies import NoCircuitBreakerGate
from shared.adapters.service_bus import ServiceBusMessages, build_client_by_connection_string
from shared.adapters.state.table_store import TableStore
from shared.bootstrap import build_services
from shared.domain.clouds import CloudName
from shared.domain.finding import Finding, FindingLevel
from shared.domain.permissions import (
    RequiredPermissions,
    RolePermissions,
    find_missing_permissions,
)
from shared.queues import POISON
from shared.settings import Settings, get_setting_name
from shared.state.tables import Tables
from shared.use_cases.check_deployment import _CHECKS, check_deployment
from shared.use_cases.run_daily_check import QUEUES
from tests.contract.test_storage_key import KEY, serve_account
from tests.functional.wire.test_callers_on_the_wire import build_tenant_with_callers
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import SUBSCRIPTION, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.tenant_world import GROUP
from tests.unit.deployed import ROOT, find_resources
from tests.unit.test_infra_rights import (
    BUILT_IN,
    CUSTOM_ROLE,
    GROUPS,
    ROLE,
    WATCHING,
    find_custom_roles,
    get_role_id,
)
from tests.unit.test_infra_settings import PLACES

EVIDENCE_KEY = "https://kv-cmk.vault.azure.net/keys/evidence"
CALLER_ROLES = find_custom_roles(GROUPS["shared.callers"])
FORBIDDEN: dict[str, Any] = {
    "status": 403,
    "code": "Forbidden",
    "message": "Caller is not authorized to perform action on resource.",
    "times": None,
}


def list_failed_findings(findings: list[Finding], code: str = "") -> list[Finding]:
    lacks = [one for one in findings if one.level is not FindingLevel.OK]
    return [one for one in lacks if not code or one.code == code]


async def check_app_with_bus(
    monkeypatch: pytest.MonkeyPatch, folder: Path, connection: str
) -> list[Finding]:
    messages = ServiceBusMessages(build_client_by_connection_string(connection))
    seed = build_tenant_seed(build_orders_seed())
    async with serve_wire_scenario(monkeypatch, folder, seed) as scenario:
        found = await check_deployment(replace(scenario.services, messages=messages))
    await messages.close()
    return found


async def find_new_findings(
    scenario: WireScenario, take_away: Callable[[], object]
) -> list[Finding]:
    """Return the findings that appear after `take_away` has removed something."""
    before = list_failed_findings(await check_deployment(scenario.services))
    take_away()
    after = list_failed_findings(await check_deployment(scenario.services))
    return [one for one in after if one not in before]


def list_permissions(role: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the permissions of a custom role, as Azure lists them."""
    kinds = ("actions", "notActions", "dataActions", "notDataActions")
    permissions = role["properties"]["permissions"]
    return [{kind: one.get(kind, []) for kind in kinds} for one in permissions]


def read_role_name(role: dict[str, Any]) -> str:
    """Return the name of a custom role, without the suffix of its resource group."""
    return str(role["properties"]["roleName"]).partition(" (")[0]


def list_watching_permissions(except_role: str = "") -> list[dict[str, Any]]:
    """Return the permissions of the roles at a watched subscription, except those of this role."""
    return [
        {"actions": list(role.actions), "dataActions": list(role.data_actions)}
        for name, role in WATCHING.items()
        if name != except_role
    ]


# --- grants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", CALLER_ROLES, ids=lambda one: one["properties"]["roleName"])
async def test_each_role_for_callers_is_named_by_its_permissions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken: dict[str, Any]
) -> None:
    seed = build_tenant_with_callers(Profile.DOCUMENTED)
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        granted = scenario.tenant.get_part(Azure).permissions
        roles = [one for role in CALLER_ROLES for one in list_permissions(role)]
        granted[GROUP.lower()] = [*list_watching_permissions(), *roles]
        before = await check_deployment(scenario.services)
        others = [role for role in CALLER_ROLES if role is not taken]
        roles = [one for role in others for one in list_permissions(role)]
        granted[GROUP.lower()] = [*list_watching_permissions(), *roles]
        found = await check_deployment(scenario.services)

    granted_by_others = [
        RolePermissions(actions=tuple(one["actions"]), data_actions=tuple(one["dataActions"]))
        for one in roles
    ]
    wanted = [
        action
        for one in list_permissions(taken)
        for action in find_missing_permissions(
            RequiredPermissions(
                fix="", actions=tuple(one["actions"]), data_actions=tuple(one["dataActions"])
            ),
            [*WATCHING.values(), *granted_by_others],
        )
    ]
    lines = list_failed_findings(found, "callers")
    assert list_failed_findings(before, "callers") == []
    assert wanted
    assert [one for one in wanted if not any(one in line.message for line in lines)] == []
    assert all("CMK_CALLER_RESOURCE_GROUP_IDS" in line.fix for line in lines)


@pytest.mark.parametrize("taken", WATCHING)
async def test_each_role_of_a_watched_subscription_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken: str
) -> None:
    seed = build_tenant_seed(build_orders_seed())
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        granted, scope = (
            scenario.tenant.get_part(Azure).permissions,
            f"/subscriptions/{SUBSCRIPTION}",
        )
        granted[scope] = list_watching_permissions()

        [found] = await find_new_findings(
            scenario, lambda: granted.update({scope: list_watching_permissions(taken)})
        )

    assert (found.code, found.subject) == ("subscriptions", SUBSCRIPTION)
    assert found.message.startswith(f"The role {taken} is missing")


@pytest.mark.parametrize(
    ("route", "code", "named"),
    [
        ("key_vault.get_secret", "service_account", "Key Vault Secrets Officer"),
        ("key_vault.sign", "evidence_key", "Flow remediation: evidence key"),
        ("resource_manager.list_policies", "keys", "Reader and Key Vault Reader"),
        ("resource_manager.list_service_tag*", "service_tags", "Reader"),
    ],
)
async def test_each_role_that_only_a_request_shows_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, route: str, code: str, named: str
) -> None:
    seed = build_tenant_seed(build_orders_seed())
    seed["azure"]["vaults"][0]["keys"].append({"name": "evidence", "versions": [{}]})
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        settings = scenario.services.settings.model_copy(update={"evidence_key": EVIDENCE_KEY})
        scenario.services = replace(scenario.services, settings=settings)
        scenario.tenant.faults.add(Fault.parse({"route": route, **FORBIDDEN}))

        found = await check_deployment(scenario.services)

    [line] = list_failed_findings(found, code)
    assert line.level is FindingLevel.PROBLEM
    assert named in line.fix


@pytest.mark.parametrize(
    ("part", "answer", "named"),
    [
        ("state", "AuthorizationPermissionMismatch", "Storage Table Data Contributor"),
        ("archive", "AuthorizationPermissionMismatch", "Storage Blob Data Owner"),
        ("state", "KeyVaultEncryptionKeyNotFound", "Restore the key of the storage account"),
        ("archive", "KeyVaultEncryptionKeyNotFound", "Restore the key of the storage account"),
    ],
)
async def test_each_right_at_the_storage_account_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: str, answer: str, named: str
) -> None:
    credential = AzureNamedKeyCredential("account", KEY)
    seed = build_tenant_seed(build_orders_seed())
    with serve_account(answer) as account:
        async with (
            serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario,
            TableServiceClient(account.url, credential=credential) as tables,
            ContainerClient(account.url, "archive", credential=credential) as container,
        ):
            without: dict[str, Any] = {
                "state": Tables(TableStore(tables)),
                "archive": BlobArchive(container, NoCircuitBreakerGate()),
            }
            field = "tables" if part == "state" else part
            scenario.services = replace(scenario.services, **{field: without[part]})
            found = await check_deployment(scenario.services)

    [line] = list_failed_findings(found, part)
    assert named in line.fix
    assert answer in line.message


# --- queues and hosts -----------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [*QUEUES, POISON])
async def test_each_missing_queue_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken: str
) -> None:
    queues = [QueueSettings(name=name) for name in (*QUEUES, POISON) if name != taken]
    with LocalServiceBus(queues) as bus:
        found = await check_app_with_bus(monkeypatch, tmp_path, bus.connection_string)

    [line] = list_failed_findings(found, "queues")
    assert line.subject == taken
    assert taken in line.message
    assert "creates the queues" in line.fix


@pytest.mark.parametrize("taken", ["Listen", "Send"])
async def test_missing_role_at_service_bus_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken: str
) -> None:
    claims = frozenset({"Listen", "Send"} - {taken})
    queues = [QueueSettings(name=name, claims=claims) for name in (*QUEUES, POISON)]
    with LocalServiceBus(queues) as bus:
        found = await check_app_with_bus(monkeypatch, tmp_path, bus.connection_string)

    lines = list_failed_findings(found, "queues")
    assert [line.subject for line in lines] == [*QUEUES, POISON]
    for line in lines:
        assert line.level is FindingLevel.PROBLEM
        assert f"'{taken}' claim(s) are required" in line.message
        assert "Azure Service Bus Data Owner" in line.fix


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # sockets the SDK leaves after a rejected connection
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_setting_of_a_namespace_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The setting may be wrong, or the namespace may be down."""
    with LocalServiceBus([]) as bus:
        connection = bus.connection_string
    found = await check_app_with_bus(monkeypatch, tmp_path, connection)
    gc.collect()

    lines = list_failed_findings(found, "queues")
    assert {line.level for line in lines} == {FindingLevel.UNKNOWN}
    assert all("ServiceBusConnection__fullyQualifiedNamespace" in line.fix for line in lines)


# --- settings -------------------------------------------------------------------------------------

OTHER_ID = "99999999-0000-4000-8000-000000000000"
SECRET = "service_account_token_cache_secret"
#: For each setting of the template that the app reads: another value, and what names it.
SETTINGS: Mapping[str, list[tuple[Any, str]]] = {
    "tenant_id": [(OTHER_ID, "service_account")],
    "cloud_name": [(CloudName.GCC_HIGH, "settings")],
    "subscription_ids": [((OTHER_ID,), "subscriptions")],
    "client_id": [(OTHER_ID, "power_platform")],
    "service_account_client_id": [("", "service_account"), (OTHER_ID, "service_account")],
    SECRET: [
        ("https://kv-cmk.vault.azure.net/secrets/other", "service_account"),
        ("https://kv-cmk.vault.usgovcloudapi.net/secrets/operator-token-cache", "settings"),
    ],
    "evidence_key": [("", "evidence_key"), (f"{EVIDENCE_KEY}-2", "evidence_key")],
    "service_bus_namespace": [("sb.servicebus.usgovcloudapi.net", "settings")],
    "storage_account": [("", "settings")],
    "sign_in_client_id": [("", "sign_in")],
    "trigger_url_vault": [("https://kv-other.vault.azure.net", "callers")],
    "azure_devops_organizations": [(("other",), "callers")],
    "github_token": [("other", "callers")],
    "github_repositories": [(("other/other",), "callers")],
    "sharepoint_sites": [(("contoso.sharepoint.com/sites/other",), "callers")],
    "time_stamp_authority": [("https://other.example/", "time_stamps")],
    "service_tags_file": [("other.json", "service_tags")],
    "event_grid_topic": [("https://other.example/", "channels")],
    "webhook": [("@Microsoft.KeyVault(SecretUri=https://v/secrets/s)", "channels")],
    "webhook_secret": [("whsec_short", "channels")],
    "teams_webhook": [("http://other.example/", "channels")],
}


#: Fields that may be empty, or that the doctor cannot see (docs/deployment.md).
OTHER_SETTINGS = {
    *(
        "website_auth_enabled",
        "function_key_roles",
        "website_host",
    ),  # by App Service, or no problem
    *("service_bus_connection", "archive_key"),  # not in Azure
    *("insights_connection", "otlp_endpoint"),
    "additional_required_tags",
}
#: Roles that the template assigns, and the checks that miss them.
ROLES = {
    "Azure Service Bus Data Owner": "queues",
    "Storage Blob Data Owner": "archive",
    "Storage Table Data Contributor": "state",
    "Key Vault Crypto Service Encryption User": "state",
    "Key Vault Secrets Officer": "service_account",
    "Key Vault Secrets User": "channels",
    "Reader": "subscriptions",
    "Key Vault Reader": "subscriptions",
    "Flow remediation: evidence key": "evidence_key",
    "Flow remediation: firewalls": "firewall_fixes",
    **{read_role_name(one): "callers" for one in CALLER_ROLES},
}
UNSEEN = ("Azure Service Bus Data Sender", "Monitoring Metrics Publisher")


def test_each_setting_and_role_of_a_deployment_is_checked_or_documented() -> None:
    empty = {name for name, one in Settings.model_fields.items() if one.default in {"", ()}}
    custom = {one["name"]: read_role_name(one) for one in find_resources(CUSTOM_ROLE)}
    roles = {(BUILT_IN | custom)[get_role_id(one)] for one in find_resources(ROLE)}
    section = (ROOT / "docs/deployment.md").read_text().partition("## 6.")[2]

    assert empty - SETTINGS.keys() == OTHER_SETTINGS
    assert PLACES - SETTINGS.keys() == {"insights_connection"}
    assert roles - ROLES.keys() == set(UNSEEN)
    assert [one for one in UNSEEN if one not in section] == []
    assert set(ROLES.values()) <= _CHECKS.keys()


async def test_each_setting_with_another_value_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed = build_tenant_with_callers(Profile.DOCUMENTED)
    seed["azure"]["vaults"][0]["keys"].append({"name": "evidence", "versions": [{}]})
    complete = {
        "website_auth_enabled": "True",
        "sign_in_client_id": "s",
        "evidence_key": EVIDENCE_KEY,
        "storage_account": "st",
        "webhook": "https://hooks.example/",
        "webhook_secret": f"whsec_{'A' * 32}",
        "teams_webhook": "https://teams.example/",
        "github_repositories": ("contoso/shop",),
        "github_token": "github_pat_test",
    }

    async def check(scenario: WireScenario, **changes: Any) -> list[Finding]:
        settings = scenario.services.settings.model_copy(update=complete | changes)
        # The store and the queues are those of the scenario.
        async with AsyncExitStack() as closing:
            built = build_services(settings.model_copy(update={"storage_account": ""}), closing)
            app = replace(built, messages=scenario.messages, settings=settings)
            return list_failed_findings(await check_deployment(app))

    missed = []
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        before = await check(scenario)
        for field, values in SETTINGS.items():
            named = re.compile(rf"\b{get_setting_name(field)}\b")
            for value, code in values:
                new = [one for one in await check(scenario, **{field: value}) if one not in before]
                if code not in {one.code for one in new if named.search(one.message + one.fix)}:
                    missed.append((field, value, code, new))
        assert await check(scenario) == before  # no check of another value has left anything

    assert missed == []


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("api.bap.microsoft.com", "power_platform"),
        ("emea.api.flow.microsoft.com", "flow_service"),
        ("contoso.api.crm4.dynamics.com", "dataverse"),
        ("management.azure.com", "subscriptions"),
        ("kv-cmk.vault.azure.net", "service_account"),
        ("login.microsoftonline.com", "service_account"),
    ],
)
async def test_each_host_that_is_not_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, code: str
) -> None:
    seed = build_tenant_seed(build_orders_seed())
    async with serve_wire_scenario(monkeypatch, tmp_path, seed) as scenario:
        scenario.server.close_host(host)
        found = await check_deployment(scenario.services)

    lines = list_failed_findings(found, code)
    assert lines
    assert [one.message for one in lines if host not in one.message] == []
    assert all("allow its host" in one.fix for one in lines)
