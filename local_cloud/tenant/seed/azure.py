"""Add the Azure resources of a seed to the tenant.

The seed is JSON: resources have Resource Manager's own names and an `id`. Data without a document
(contents of vaults, settings of sites, guarded hosts) is beside them. Times are days relative to
the tenant's clock. local_cloud/tenant/azure/README.md describes each member.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local_cloud.tenant.azure.container_apps import CONTAINER_APPS, write_container_app
from local_cloud.tenant.azure.enterprise_policies import build_policy
from local_cloud.tenant.azure.key_values import STORES, SimulatedKeyValue
from local_cloud.tenant.azure.locks import build_lock
from local_cloud.tenant.azure.network import build_security_group
from local_cloud.tenant.azure.policy_assignments import build_assignment
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.role_assignments import build_role_assignment
from local_cloud.tenant.azure.service_tags import SimulatedServiceTag, read_service_tags
from local_cloud.tenant.azure.site_runtime import put_configuration, resolve_references
from local_cloud.tenant.azure.state import (
    SERVER_FARMS,
    SITES,
    SLOTS,
    VAULTS,
    Azure,
    EpochForm,
    EventSchema,
    EventSettings,
    GuardedHost,
)
from local_cloud.tenant.azure.vault_contents import (
    OPERATIONS,
    Attributes,
    Key,
    SecretVersion,
    VaultContents,
    create_version_id,
)
from local_cloud.tenant.azure.writable_services import with_defaults
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory


def seed_azure(tenant: Tenant, description: JsonObject) -> None:
    """Add the Azure resources of a seed to the tenant.

    Raises `KeyError`, `ValueError` or `SimulatedPlatformError` for an invalid seed, and `OSError`
    if the service tag file cannot be read.
    """
    azure, now = tenant.get_part(Azure), tenant.clock.now()
    for subscription in description.get("subscriptions", ()):
        identifier = subscription["subscriptionId"]
        azure.subscriptions[identifier.lower()] = subscription.get("displayName", identifier)
    _seed_service_tags(azure, description)
    for vault in description.get("vaults", ()):
        _seed_vault(tenant, vault)
    for policy in description.get("enterprisePolicies", ()):
        _seed_policy(tenant, policy)
    for given in description.get("roleAssignments", ()):
        assignment = build_role_assignment(given["scope"], str(uuid.uuid4()), given)
        azure.role_assignments[assignment["id"].lower()] = assignment
    for site in description.get("sites", ()):
        _seed_site(azure, site, now)
    _seed_container_apps(azure, description, now)
    for group in description.get("networkSecurityGroups", ()):
        azure.resources.put(build_security_group(group["id"], group))
        for host, address in group.get("guards", {}).items():
            guarded = GuardedHost(group_id=group["id"], address=address)
            azure.guarded_hosts[host.lower()] = guarded
    for document in description.get("resources", ()):
        azure.resources.put(with_defaults(document | {"name": document["id"].rpartition("/")[2]}))
    _seed_configuration_stores(azure, description, now)
    azure.locks += [build_lock(**lock) for lock in description.get("locks", ())]
    given_policies = description.get("policyAssignments", ())
    azure.policy_assignments += [build_assignment(**policy) for policy in given_policies]
    if "events" in description:
        azure.events = _build_event_settings(description["events"])
    azure.page_size = description.get("pageSize", azure.page_size)


def _seed_service_tags(azure: Azure, description: JsonObject) -> None:
    if path := description.get("serviceTagsFile"):
        azure.service_tags = read_service_tags(Path(path))
    for entry in description.get("serviceTags", ()):
        service, _, region = entry["name"].partition(".")
        tag = SimulatedServiceTag(
            name=entry["name"],
            change_number=str(entry.get("changeNumber", "1")),
            system_service=service,
            region=region.lower(),
            address_prefixes=tuple(entry["addressPrefixes"]),
        )
        azure.service_tags.add(tag)
    if number := description.get("serviceTagsChangeNumber"):
        azure.service_tags.change_number = str(number)


def _seed_vault(tenant: Tenant, description: JsonObject) -> None:
    azure, now = tenant.get_part(Azure), tenant.clock.now()
    vault_id = description["id"]
    name = vault_id.rpartition("/")[2]
    properties = {
        "tenantId": tenant.get_part(Directory).tenant_id,
        "sku": {"family": "A", "name": "premium"},
        "vaultUri": f"https://{name}.vault.azure.net/",
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": 90,
        "enablePurgeProtection": True,
        "enableRbacAuthorization": True,
        "accessPolicies": [],
        "publicNetworkAccess": "Enabled",
        "provisioningState": "Succeeded",
    }
    azure.resources.put(
        {
            "id": vault_id,
            "name": name,
            "type": VAULTS,
            "location": description.get("location", "westeurope"),
            "tags": description.get("tags", {}),
            "properties": properties | description.get("properties", {}),
        }
    )
    contents = VaultContents(name=name, resource_id=vault_id)
    azure.vaults[name.lower()] = contents
    for key in description.get("keys", ()):
        contents.keys[key["name"].lower()] = _build_key(key, now)
    for secret in description.get("secrets", ()):
        contents.put_secret(secret["name"], _build_secret_version(secret, now))


def _build_key(description: JsonObject, now: datetime) -> Key:
    key = Key(
        name=description["name"],
        key_type=description.get("kty", "RSA"),
        size=description.get("keySize", 2048),
        operations=list(description.get("keyOps", OPERATIONS)),
        rotation_policy=description.get("rotationPolicy", {}),
    )
    for version in description.get("versions", [{}]):
        key.add_version(_build_attributes(version, now), version.get("version"))
    return key


def _build_secret_version(description: JsonObject, now: datetime) -> SecretVersion:
    return SecretVersion(
        version=description.get("version") or create_version_id(),
        value=description["value"],
        attributes=_build_attributes(description, now),
        content_type=description.get("contentType"),
        tags=description.get("tags", {}),
    )


def _build_attributes(description: JsonObject, now: datetime) -> Attributes:
    created = now - timedelta(days=description.get("createdDaysAgo", 0))
    return Attributes(
        created=created,
        updated=created,
        enabled=description.get("enabled", True),
        not_before=_compute_time_in_days(now, description.get("notBeforeInDays")),
        expires=_compute_time_in_days(now, description.get("expiresInDays")),
    )


def _compute_time_in_days(now: datetime, days: float | None) -> datetime | None:
    return None if days is None else now + timedelta(days=days)


def _seed_policy(tenant: Tenant, description: JsonObject) -> None:
    policy = build_policy(description["id"], description, tenant.get_part(Directory).tenant_id)
    at = format_time(tenant.clock.now())
    policy["systemData"] = {
        "createdBy": "seed",
        "createdByType": "User",
        "createdAt": at,
        "lastModifiedBy": "seed",
        "lastModifiedByType": "User",
        "lastModifiedAt": at,
    }
    tenant.get_part(Azure).resources.put(policy)


def _seed_site(azure: Azure, description: JsonObject, now: datetime) -> None:
    site_id = description["id"]
    is_slot = "/slots/" in site_id.lower()
    name = site_id.rpartition("/sites/")[2].replace("/slots/", "/")
    host = f"{name.replace('/', '-')}.azurewebsites.net"
    plan = _seed_plan(azure, site_id)
    azure.resources.put(
        {
            "id": site_id,
            "name": name,
            "type": SLOTS if is_slot else SITES,
            "kind": description.get("kind", "app"),
            "location": description.get("location", "West Europe"),
            "tags": description.get("tags", {}),
            "identity": description.get("identity"),
            "properties": {
                "state": "Running",
                "enabled": True,
                "serverFarmId": plan,
                "sku": "PremiumV3",
                "httpsOnly": True,
                "defaultHostName": host,
                "hostNames": [host, *description.get("hostNames", ())],
                "resourceGroup": site_id.split("/")[4],
            }
            | description.get("properties", {}),
        }
    )
    parts: Iterable[tuple[str, Any]] = (
        ("appsettings", description.get("appSettings", {})),
        ("connectionstrings", description.get("connectionStrings", {})),
        ("web", description.get("web", {})),
    )
    for part, properties in parts:
        put_configuration(azure, site_id, part, properties)
    for path, text in description.get("files", {}).items():
        azure.site_files[site_id.lower()][path] = text.encode()
    resolve_references(azure, site_id, now)
    for slot in description.get("slots", ()):
        _seed_site(azure, slot | {"id": f"{site_id}/slots/{slot['name']}"}, now)


def _seed_container_apps(azure: Azure, description: JsonObject, now: datetime) -> None:
    for app in description.get("containerApps", ()):
        named = {"name": app["id"].rpartition("/")[2], "type": CONTAINER_APPS}
        write_container_app(azure, {"location": "westeurope"} | app | named, None, now)


def _seed_configuration_stores(azure: Azure, description: JsonObject, now: datetime) -> None:
    for store in description.get("configurationStores", ()):
        name = store["id"].rpartition("/")[2]
        azure.resources.put(
            {
                "id": store["id"],
                "name": name,
                "type": STORES,
                "location": "westeurope",
                "properties": {"endpoint": f"https://{name}.azconfig.io"},
            }
        )
        azure.configuration_stores[name.lower()] = {
            (one["key"], one.get("label")): SimulatedKeyValue(
                key=one["key"],
                label=one.get("label"),
                value=one["value"],
                content_type=one.get("contentType"),
                tags=one.get("tags", {}),
                locked=one.get("locked", False),
                modified_at=now,
            )
            for one in store.get("keyValues", ())
        }


def _seed_plan(azure: Azure, site_id: str) -> str:
    """Add the App Service plan that all sites of a resource group share, and return its id."""
    plan_id = f"{site_id.partition('/providers/')[0]}/providers/{SERVER_FARMS}/plan"
    azure.resources.put(
        {
            "id": plan_id,
            "name": "plan",
            "type": SERVER_FARMS,
            "location": "West Europe",
            "kind": "app",
            "sku": {"name": "P1v3", "tier": "PremiumV3", "size": "P1v3", "capacity": 1},
            "properties": {"status": "Ready", "reserved": True},
        }
    )
    return plan_id


def _build_event_settings(description: JsonObject) -> EventSettings:
    settings = EventSettings()
    return EventSettings(
        schema=EventSchema(description.get("schema", settings.schema)),
        epoch_form=EpochForm(description.get("epochForm", settings.epoch_form)),
        has_stray_blanks=description.get("hasStrayBlanks", settings.has_stray_blanks),
        copies=description.get("copies", settings.copies),
    )
