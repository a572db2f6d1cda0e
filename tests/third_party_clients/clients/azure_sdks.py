"""Call Microsoft's SDKs for Azure, signed in as a managed identity, and return each answer as a
text.

This script runs in a separate process that knows only its environment variables.
"""

from collections.abc import Callable, Iterable
from typing import Any

from azure.appconfiguration import (
    AzureAppConfigurationClient,
    ConfigurationSetting,
    ResourceReadOnlyError,
)
from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient
from azure.mgmt.apimanagement import ApiManagementClient
from azure.mgmt.appconfiguration import AppConfigurationManagementClient
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.automation import AutomationClient
from azure.mgmt.datafactory import DataFactoryManagementClient
from azure.mgmt.eventgrid import EventGridManagementClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.logic import LogicManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.powerplatform import PowerPlatformMgmtClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.web import WebSiteManagementClient
from results import join_versions, report_all

SUBSCRIPTION, GROUP = "11111111-2222-3333-4444-555555555555", "rg-integration"
CREDENTIAL = ManagedIdentityCredential()
SIGNED_IN: dict[str, Any] = {
    "credential": CREDENTIAL,
    "subscription_id": SUBSCRIPTION,
    "retry_total": 0,
}
RESOURCES = ResourceManagementClient(**SIGNED_IN)
WEB = WebSiteManagementClient(**SIGNED_IN)
NETWORK = NetworkManagementClient(**SIGNED_IN)
VAULTS = KeyVaultManagementClient(**SIGNED_IN)
POLICIES = PowerPlatformMgmtClient(**SIGNED_IN)
LOGIC = LogicManagementClient(**SIGNED_IN)
EVENTS = EventGridManagementClient(**SIGNED_IN)
MONITOR = MonitorManagementClient(**SIGNED_IN)
API_MANAGEMENT = ApiManagementClient(**SIGNED_IN)
AUTOMATION = AutomationClient(**SIGNED_IN)
FACTORIES = DataFactoryManagementClient(**SIGNED_IN)
APIM = (GROUP, "contoso-api")
STORES = AppConfigurationManagementClient(**SIGNED_IN)
CONTAINER_APPS = ContainerAppsAPIClient(**SIGNED_IN)
KEY_VALUES = AzureAppConfigurationClient("https://contoso.azconfig.io", CREDENTIAL, retry_total=0)
KEYS = KeyClient("https://kv-apps.vault.azure.net", CREDENTIAL, retry_total=0)
SECRETS = SecretClient("https://kv-apps.vault.azure.net", CREDENTIAL, retry_total=0)
PROTECTED = KeyClient("https://kv-cmk.vault.azure.net", CREDENTIAL, retry_total=0)


def join_names(items: Iterable[Any]) -> str:
    return ", ".join(sorted(each.name for each in items)) or "none"


def read_settings() -> dict[str, str]:
    found = WEB.web_apps.list_application_settings(GROUP, "shop").properties
    return dict(found or {})


def change_setting() -> str:
    changed = read_settings() | {"COLOUR": "red"}
    WEB.web_apps.update_application_settings(GROUP, "shop", {"properties": changed})
    return read_settings()["COLOUR"]


def change_connection_string() -> str:
    found = dict(WEB.web_apps.list_connection_strings(GROUP, "shop").properties or {})
    added = found | {"Flow": {"value": "https://flow.example", "type": "Custom"}}
    WEB.web_apps.update_connection_strings(GROUP, "shop", {"properties": added})
    return str(WEB.web_apps.list_connection_strings(GROUP, "shop").properties["Flow"].type)


def put_logic_app(parameters: dict[str, Any]) -> str:
    declared = {"url": {"type": "String"}, "password": {"type": "SecureString"}}
    definition = {"contentVersion": "1.0.0.0", "parameters": declared, "actions": {}}
    body = {"location": "westeurope", "definition": definition, "parameters": parameters}
    LOGIC.workflows.create_or_update(GROUP, "hub", body)
    found = LOGIC.workflows.get(GROUP, "hub").parameters or {}
    return ", ".join(f"{name} {found[name].value}" for name in sorted(found))


def put_action_group() -> str:
    group = MONITOR.action_groups.get(GROUP, "on-call")
    webhook = {"name": "flow", "serviceUri": "https://flow.example/?sig=x"}
    body = {
        "location": "Global",
        "properties": {
            "groupShortName": group.group_short_name,
            "enabled": True,
            "webhookReceivers": [webhook],
        },
    }
    MONITOR.action_groups.create_or_update(GROUP, "on-call", body)
    [found] = MONITOR.action_groups.get(GROUP, "on-call").webhook_receivers
    return str(found.service_uri)


def change_named_value(etag: str = "") -> str:
    """Replace a secret named value if it has this ETag, and read it again."""
    current = API_MANAGEMENT.named_value.get_entity_tag(*APIM, "flow", cls=read_etag)
    body = {"properties": {"value": "https://copy.example"}}
    poller = API_MANAGEMENT.named_value.begin_update(
        *APIM, "flow", etag or current, body, polling_interval=0
    )
    found = poller.result()
    value = API_MANAGEMENT.named_value.list_value(*APIM, "flow").value
    return f"{found.display_name}, secret {found.secret}, {found.value}: {value}"


def change_backend(etag: str = "") -> str:
    """Create a backend, replace its URL if it has this ETag, and read it again."""
    body = {"properties": {"url": "https://flow.example", "protocol": "http", "title": "CRM"}}
    API_MANAGEMENT.backend.create_or_update(*APIM, "crm", body, if_match="*")
    current = API_MANAGEMENT.backend.get_entity_tag(*APIM, "crm", cls=read_etag)
    changed = {"properties": {"url": "https://copy.example"}}
    API_MANAGEMENT.backend.update(*APIM, "crm", etag or current, changed)
    found = API_MANAGEMENT.backend.get(*APIM, "crm")
    return f"{found.title} {found.url}"


def change_policy(text: str) -> str:
    """Replace the policy of an operation, and return it in both formats."""
    place = (*APIM, "sales", "post", "policy")
    policies, body = API_MANAGEMENT.api_operation_policy, {"format": "rawxml", "value": text}
    etag = policies.get_entity_tag(*place, cls=read_etag)
    policies.create_or_update(*place, {"properties": body}, if_match=etag)
    return " ".join(str(policies.get(*place, format=one).value) for one in ("rawxml", "xml"))


def list_variables() -> str:
    found = AUTOMATION.variable.list_by_automation_account(GROUP, "jobs")
    return ", ".join(f"{one.name} {one.value}" for one in found)


def change_variable(value: str) -> str:
    body = {"name": "flow", "properties": {"value": value}}
    AUTOMATION.variable.update(GROUP, "jobs", "flow", body)
    return str(AUTOMATION.variable.get(GROUP, "jobs", "flow").value)


def list_linked_services() -> str:
    found = FACTORIES.linked_services.list_by_factory(GROUP, "nightly")
    described = [(one.name, dict(one.properties)["typeProperties"]) for one in found]
    return ", ".join(f"{name} {one['url']} {one['password']['value']}" for name, one in described)


def change_pipeline(etag: str = "") -> str:
    """Replace a pipeline if it has this ETag, by default its current one."""
    place = (GROUP, "nightly", "load")
    found = FACTORIES.pipelines.get(*place)
    found.properties.description = "changed"
    written = FACTORIES.pipelines.create_or_update(
        *place, found, etag=etag or found.etag, match_condition=MatchConditions.IfNotModified
    )
    activity = written.properties.activities[0]
    return f"{written.properties.description}, {activity.name} of {activity.type}"


def change_global_parameters(value: str) -> str:
    body = {"properties": {"url": {"type": "String", "value": value}}}
    FACTORIES.global_parameters.create_or_update(GROUP, "nightly", "default", body)
    found = FACTORIES.global_parameters.list_by_factory(GROUP, "nightly")
    return ", ".join(f"{one.name} {one.properties['url'].value}" for one in found)


def put_fragment() -> str:
    """Create a policy fragment and a policy that includes it. Return which policies use the
    fragment.
    """
    body = {"properties": {"format": "rawxml", "value": "<fragment />", "description": "x"}}
    fragments = API_MANAGEMENT.policy_fragment
    fragments.begin_create_or_update(*APIM, "notify", body, polling_interval=0).result()
    text = '<policies><include-fragment fragment-id="notify" /></policies>'
    policy = {"properties": {"format": "rawxml", "value": text}}
    API_MANAGEMENT.policy.create_or_update(*APIM, "policy", policy)
    users = fragments.list_references(*APIM, "notify").value or []
    return ", ".join(str(one.type) for one in users)


def read_etag(_response: Any, _body: Any, headers: dict[str, Any]) -> str:
    return str(headers["ETag"])


def change_key_value(etag: str | None = None) -> str:
    setting = KEY_VALUES.get_configuration_setting("Colour", label="prod")
    setting.value = "red"
    setting.etag = etag or setting.etag
    try:
        KEY_VALUES.set_configuration_setting(setting, match_condition=MatchConditions.IfNotModified)
    except ResourceModifiedError:
        return "not modified"
    return str(KEY_VALUES.get_configuration_setting("Colour", label="prod").value)


def read_app_secret() -> str:
    listed = CONTAINER_APPS.container_apps.list_secrets(GROUP, "till").value
    return ", ".join(f"{one.name} {one.value}" for one in listed)


def change_app_secret() -> str:
    """Replace the secrets of a container app, restart its revisions, and read the secrets again."""
    secrets = [{"name": "flow", "value": "new"}]
    body = {"location": "westeurope", "properties": {"configuration": {"secrets": secrets}}}
    CONTAINER_APPS.container_apps.begin_update(GROUP, "till", body).result()
    for revision in CONTAINER_APPS.container_apps_revisions.list_revisions(GROUP, "till"):
        CONTAINER_APPS.container_apps_revisions.restart_revision(GROUP, "till", revision.name)
    return read_app_secret()


def change_app_variable() -> str:
    """Change an environment variable of a container app. Return which revisions are active."""
    app = CONTAINER_APPS.container_apps.get(GROUP, "till")
    app.template.containers[0].env[1].value = "red"
    body = {"location": "westeurope", "properties": {"template": app.template.as_dict()}}
    CONTAINER_APPS.container_apps.begin_update(GROUP, "till", body).result()
    found = CONTAINER_APPS.container_apps_revisions.list_revisions(GROUP, "till")
    return ", ".join(str(one.active) for one in found)


def read_webhook() -> str:
    """Return the webhook's URL, as a read shows it and as the action returns it."""
    webhook = EVENTS.topic_event_subscriptions.get(GROUP, "sales", "flow").destination
    whole = EVENTS.topic_event_subscriptions.get_full_url(GROUP, "sales", "flow").endpoint_url
    return f"{webhook.endpoint_base_url}, {whole}"


def change_webhook(url: str) -> str:
    webhook = {"endpointType": "WebHook", "properties": {"endpointUrl": url}}
    change = {"destination": webhook}
    EVENTS.topic_event_subscriptions.begin_update(GROUP, "sales", "flow", change).result()
    return read_webhook()


def lock_key_value() -> str:
    locked = KEY_VALUES.set_read_only(ConfigurationSetting(key="Colour", label="prod"))
    try:
        return str(KEY_VALUES.set_configuration_setting(locked).value)
    except ResourceReadOnlyError:
        return "read-only"


def delete_key(keys: KeyClient, name: str) -> str:
    """Delete a key and wait until the SDK's poller reports the end."""
    return str(keys.begin_delete_key(name).result().name)


def purge_key(keys: KeyClient, name: str) -> str:
    keys.purge_deleted_key(name)
    return "done"


def purge_secret(name: str) -> str:
    SECRETS.purge_deleted_secret(name)
    return "done"


BACKUPS: dict[str, bytes] = {}


def make_backup(what: str, take: Callable[[], bytes]) -> str:
    """Make a backup of a key or secret, and keep it for a restore.

    Returns "empty" if it has no content.
    """
    BACKUPS[what] = take()
    return "done" if BACKUPS[what] else "empty"


CALLS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("resource: resource_groups.list", lambda: join_names(RESOURCES.resource_groups.list())),
    ("resource: resource_groups.get", lambda: str(RESOURCES.resource_groups.get(GROUP).name)),
    ("resource: resource_groups.get, unknown", lambda: str(RESOURCES.resource_groups.get("no"))),
    (
        "resource: resources.list, by type",
        lambda: join_names(
            RESOURCES.resources.list(filter="resourceType eq 'Microsoft.Web/sites'")
        ),
    ),
    (
        "resource: resources.list, by name",
        lambda: join_names(RESOURCES.resources.list(filter="name eq 'shop'")),
    ),
    (
        "resource: resources.list, expanded",
        lambda: join_names(RESOURCES.resources.list(expand="createdTime")),
    ),
    ("web: web_apps.list", lambda: join_names(WEB.web_apps.list())),
    ("web: web_apps.get", lambda: str(WEB.web_apps.get(GROUP, "shop").name)),
    ("web: web_apps.get, unknown", lambda: str(WEB.web_apps.get(GROUP, "no").name)),
    ("web: web_apps.list_slots", lambda: join_names(WEB.web_apps.list_slots(GROUP, "shop"))),
    ("web: web_apps.list_application_settings", lambda: ", ".join(sorted(read_settings()))),
    ("web: web_apps.update_application_settings", change_setting),
    (
        "web: web_apps.list_connection_strings",
        lambda: ", ".join(WEB.web_apps.list_connection_strings(GROUP, "shop").properties or {}),
    ),
    ("web: web_apps.update_connection_strings", change_connection_string),
    (
        "web: web_apps.list_workflows",
        lambda: join_names(WEB.web_apps.list_workflows(GROUP, "hub")),
    ),
    (
        "web: web_apps.get_workflow",
        lambda: str(WEB.web_apps.get_workflow(GROUP, "hub", "call").properties.files),
    ),
    (
        "web: web_apps.get_workflow, missing",
        lambda: str(WEB.web_apps.get_workflow(GROUP, "hub", "gone").name),
    ),
    (
        "web: web_apps.list_application_settings_slot",
        lambda: ", ".join(
            WEB.web_apps.list_application_settings_slot(GROUP, "shop", "staging").properties or {}
        ),
    ),
    (
        "resource: resources.list, slots",
        lambda: join_names(
            RESOURCES.resources.list(filter="resourceType eq 'Microsoft.Web/sites/slots'")
        ),
    ),
    (
        "web: web_apps.get_configuration",
        lambda: str(WEB.web_apps.get_configuration(GROUP, "shop").name),
    ),
    ("web: web_apps.restart", lambda: str(WEB.web_apps.restart(GROUP, "shop") or "done")),
    ("web: web_apps.delete", lambda: str(WEB.web_apps.delete(GROUP, "shop") or "done")),
    (
        "network: network_security_groups.list_all",
        lambda: join_names(NETWORK.network_security_groups.list_all()),
    ),
    (
        "network: security_rules.get",
        lambda: str(NETWORK.security_rules.get(GROUP, "nsg-erp", "allow-flows").access),
    ),
    ("network: azure_firewalls.list_all", lambda: join_names(NETWORK.azure_firewalls.list_all())),
    ("network: ip_groups.list", lambda: join_names(NETWORK.ip_groups.list())),
    (
        "network: service_tags.list",
        lambda: str(NETWORK.service_tags.list("westeurope").type),
    ),
    (
        "network: service_tag_information.list, by tag",
        lambda: join_names(
            NETWORK.service_tag_information.list(
                "westeurope", tag_name="PowerPlatformPlex.WestEurope"
            )
        ),
    ),
    (
        "keyvault: vaults.list_by_subscription",
        lambda: join_names(VAULTS.vaults.list_by_subscription()),
    ),
    (
        "keyvault: vaults.get",
        lambda: str(VAULTS.vaults.get(GROUP, "kv-cmk").properties.enable_purge_protection),
    ),
    ("keyvault: vaults.get, unknown", lambda: str(VAULTS.vaults.get(GROUP, "no").name)),
    (
        "powerplatform: enterprise_policies.list_by_subscription",
        lambda: join_names(POLICIES.enterprise_policies.list_by_subscription()),
    ),
    (
        "powerplatform: enterprise_policies.get",
        lambda: str(
            POLICIES.enterprise_policies.get(
                enterprise_policy_name="cmk-eu", resource_group_name=GROUP
            ).kind
        ),
    ),
    (
        "logic: workflows.list_by_subscription",
        lambda: join_names(LOGIC.workflows.list_by_subscription()),
    ),
    ("logic: workflows.get", lambda: str(LOGIC.workflows.get(GROUP, "order-hub").state)),
    (
        "logic: workflows.list_swagger",
        lambda: str(LOGIC.workflows.list_swagger(GROUP, "order-hub")),
    ),
    (
        "logic: workflows.create_or_update",
        lambda: put_logic_app({"url": {"value": "x"}, "password": {"value": "y"}}),
    ),
    (
        "logic: workflows.create_or_update, without a secure value",
        lambda: put_logic_app({"url": {"value": "x"}}),
    ),
    ("automation: variable.list_by_automation_account", list_variables),
    ("automation: variable.update", lambda: change_variable('"y"')),
    ("automation: variable.update, no JSON", lambda: change_variable("y")),
    (
        "automation: runbook.get_content",
        lambda: "".join(map(str, AUTOMATION.runbook.get_content(GROUP, "jobs", "notify"))),
    ),
    ("datafactory: factories.list", lambda: join_names(FACTORIES.factories.list())),
    ("datafactory: linked_services.list_by_factory", list_linked_services),
    ("datafactory: pipelines.create_or_update", change_pipeline),
    (
        "datafactory: pipelines.create_or_update, another ETag",
        lambda: change_pipeline("0a006cd4-0000-0000-0000-5b245bd60000"),
    ),
    (
        "datafactory: global_parameters.create_or_update",
        lambda: change_global_parameters("https://contoso.example"),
    ),
    (
        "apimanagement: api_management_service.list",
        lambda: join_names(API_MANAGEMENT.api_management_service.list()),
    ),
    (
        "apimanagement: api.list_by_service",
        lambda: join_names(API_MANAGEMENT.api.list_by_service(*APIM)),
    ),
    (
        "apimanagement: api_operation.list_by_api",
        lambda: join_names(API_MANAGEMENT.api_operation.list_by_api(*APIM, "sales")),
    ),
    ("apimanagement: named_value.begin_update", change_named_value),
    ("apimanagement: named_value.begin_update, another ETag", lambda: change_named_value('"0"')),
    ("apimanagement: backend.update", change_backend),
    ("apimanagement: backend.update, another ETag", lambda: change_backend('"0"')),
    (
        "apimanagement: api_operation_policy.create_or_update",
        lambda: change_policy('<policies><x a="@(1 < 3)" /></policies>'),
    ),
    (
        "apimanagement: api_operation_policy.create_or_update, no XML",
        lambda: change_policy("<policies>"),
    ),
    ("apimanagement: policy_fragment.list_references", put_fragment),
    (
        "appconfiguration: configuration_stores.list",
        lambda: join_names(STORES.configuration_stores.list()),
    ),
    (
        "appconfiguration: list_configuration_settings",
        lambda: ", ".join(
            f"{one.key} {one.label}" for one in KEY_VALUES.list_configuration_settings()
        ),
    ),
    ("appconfiguration: set_configuration_setting", change_key_value),
    (
        "appconfiguration: set_configuration_setting, another ETag",
        lambda: change_key_value("another"),
    ),
    ("appconfiguration: set_configuration_setting, locked", lock_key_value),
    (
        "appcontainers: container_apps.list_by_subscription",
        lambda: join_names(CONTAINER_APPS.container_apps.list_by_subscription()),
    ),
    (
        "appcontainers: container_apps.get",
        lambda: str(
            CONTAINER_APPS.container_apps.get(GROUP, "till").configuration.secrets[0].as_dict()
        ),
    ),
    ("appcontainers: container_apps.list_secrets", read_app_secret),
    ("appcontainers: container_apps.begin_update, secrets", change_app_secret),
    ("appcontainers: container_apps.begin_update, template", change_app_variable),
    (
        "eventgrid: system_topics.list_by_subscription",
        lambda: join_names(EVENTS.system_topics.list_by_subscription()),
    ),
    (
        "eventgrid: system_topic_event_subscriptions.list_by_system_topic",
        lambda: join_names(
            EVENTS.system_topic_event_subscriptions.list_by_system_topic(GROUP, "keys")
        ),
    ),
    (
        "eventgrid: topic_event_subscriptions.list",
        lambda: join_names(EVENTS.topic_event_subscriptions.list(GROUP, "sales")),
    ),
    ("eventgrid: topic_event_subscriptions.get_full_url", read_webhook),
    (
        "eventgrid: topic_event_subscriptions.begin_update",
        lambda: change_webhook("https://copy.example/?sig=y"),
    ),
    (
        "monitor: metric_alerts.list_by_subscription",
        lambda: join_names(MONITOR.metric_alerts.list_by_subscription()),
    ),
    (
        "monitor: action_groups.list_by_subscription_id",
        lambda: join_names(MONITOR.action_groups.list_by_subscription_id()),
    ),
    (
        "monitor: action_groups.get",
        lambda: str(MONITOR.action_groups.get(GROUP, "on-call").group_short_name),
    ),
    ("monitor: action_groups.create_or_update", put_action_group),
    ("keys: list_properties_of_keys", lambda: join_names(KEYS.list_properties_of_keys())),
    ("keys: create_rsa_key", lambda: str(KEYS.create_rsa_key("orders", size=3072).key_type)),
    ("keys: rotate_key", lambda: str(KEYS.rotate_key("orders").name)),
    (
        "keys: list_properties_of_key_versions",
        lambda: str(len(list(KEYS.list_properties_of_key_versions("orders")))),
    ),
    ("keys: backup_key", lambda: make_backup("key", lambda: KEYS.backup_key("orders"))),
    (
        "keys: restore_key_backup, while it is there",
        lambda: str(KEYS.restore_key_backup(BACKUPS["key"]).name),
    ),
    ("keys: begin_delete_key", lambda: delete_key(KEYS, "orders")),
    ("keys: list_deleted_keys", lambda: join_names(KEYS.list_deleted_keys())),
    ("keys: create_rsa_key, while it is deleted", lambda: str(KEYS.create_rsa_key("orders").name)),
    (
        "keys: begin_recover_deleted_key",
        lambda: str(KEYS.begin_recover_deleted_key("orders").result().name),
    ),
    ("keys: begin_delete_key, again", lambda: delete_key(KEYS, "orders")),
    ("keys: purge_deleted_key", lambda: purge_key(KEYS, "orders")),
    ("keys: get_deleted_key, purged", lambda: str(KEYS.get_deleted_key("orders").name)),
    ("keys: restore_key_backup", lambda: str(KEYS.restore_key_backup(BACKUPS["key"]).name)),
    ("keys: begin_delete_key, protected", lambda: delete_key(PROTECTED, "pp-cmk")),
    ("keys: purge_deleted_key, protected", lambda: purge_key(PROTECTED, "pp-cmk")),
    (
        "secrets: set_secret",
        lambda: str(SECRETS.set_secret("orders-url", "x", content_type="url").name),
    ),
    ("secrets: get_secret", lambda: str(SECRETS.get_secret("orders-url").value)),
    (
        "secrets: list_properties_of_secrets",
        lambda: join_names(SECRETS.list_properties_of_secrets()),
    ),
    (
        "secrets: backup_secret",
        lambda: make_backup("secret", lambda: SECRETS.backup_secret("orders-url")),
    ),
    (
        "secrets: begin_delete_secret",
        lambda: str(SECRETS.begin_delete_secret("orders-url").result().name),
    ),
    ("secrets: get_secret, deleted", lambda: str(SECRETS.get_secret("orders-url").value)),
    ("secrets: list_deleted_secrets", lambda: join_names(SECRETS.list_deleted_secrets())),
    ("secrets: purge_deleted_secret", lambda: purge_secret("orders-url")),
    (
        "secrets: restore_secret_backup",
        lambda: str(SECRETS.restore_secret_backup(BACKUPS["secret"]).name),
    ),
    (
        "secrets: restore_secret_backup, of a key",
        lambda: str(SECRETS.restore_secret_backup(BACKUPS["key"]).name),
    ),
)

if __name__ == "__main__":
    report_all(
        CALLS,
        join_versions(
            *("azure-mgmt-resource", "azure-mgmt-web", "azure-mgmt-network", "azure-mgmt-keyvault"),
            *("azure-mgmt-powerplatform", "azure-mgmt-logic", "azure-mgmt-eventgrid"),
            *("azure-mgmt-monitor", "azure-mgmt-apimanagement", "azure-mgmt-appconfiguration"),
            *("azure-appconfiguration", "azure-mgmt-appcontainers", "azure-keyvault-keys"),
            "azure-mgmt-automation",
            "azure-mgmt-datafactory",
            "azure-keyvault-secrets",
        ),
    )
