"""Determine the settings that the code of a running site reads.

A site resolves its Key Vault references when it starts; those without a version also every 24 hours
(platform.md#key-vault-references). So its code gets a new secret version only later.
"""

from datetime import datetime, timedelta

from local_cloud.tenant.azure.references import (
    KeyVaultReference,
    ResolvedReference,
    is_reference,
    parse_reference,
)
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.site_identity import find_principal, may_read
from local_cloud.tenant.azure.state import Azure

#: Type of the documents that hold a site's or a slot's configuration, by `{site id}/config/{name}`.
CONFIG = "Microsoft.Web/sites/config"

#: The parts of a configuration that can hold references.
PARTS = ("appsettings", "connectionstrings")
#: How long a site keeps the value of a reference without version.
REFETCH_AFTER = timedelta(hours=24)


def get_configuration(azure: Azure, site_id: str, name: str) -> JsonObject:
    """Return the properties of a part of a site's configuration, such as `appsettings`."""
    document = azure.resources.find(CONFIG, f"{site_id}/config/{name}")
    return {} if document is None else document["properties"]


def put_configuration(azure: Azure, site_id: str, name: str, properties: JsonObject) -> JsonObject:
    document = {
        "id": f"{site_id}/config/{name}",
        "name": name,
        "type": CONFIG,
        "properties": properties,
    }
    azure.resources.put(document)
    return document


def restart(azure: Azure, site_id: str, now: datetime) -> None:
    """Restart a site, which resolves its Key Vault references again."""
    azure.restarts[site_id.lower()] += 1
    resolve_references(azure, site_id, now)


def resolve_references(azure: Azure, site_id: str, now: datetime) -> None:
    for part in PARTS:
        azure.references[_build_configuration_id(site_id, part)] = {
            name: _resolve_reference(azure, site_id, value, now)
            for name, value in _get_texts(azure, site_id, part).items()
            if is_reference(value)
        }


def _build_configuration_id(site_id: str, part: str) -> str:
    return f"{site_id}/config/{part}".lower()


def _get_texts(azure: Azure, site_id: str, part: str) -> dict[str, str]:
    values = get_configuration(azure, site_id, part)
    is_plain = part == PARTS[0]
    return {name: one if is_plain else one.get("value") or "" for name, one in values.items()}


def get_running_settings(azure: Azure, site_id: str, now: datetime) -> dict[str, str]:
    """Return the app settings that a site's code has now, with resolved references."""
    return get_configuration(azure, site_id, "appsettings") | {
        name: reference.value for name, reference in get_references(azure, site_id, now).items()
    }


def get_references(
    azure: Azure, site_id: str, now: datetime, part: str = "appsettings"
) -> dict[str, ResolvedReference]:
    """Return the resolved references of a site.

    References without a version are resolved again first if their values are 24 hours old.
    """
    known = azure.references.setdefault(_build_configuration_id(site_id, part), {})
    for name, resolved in known.items():
        reference = resolved.reference
        is_pinned = reference is not None and bool(reference.version)
        if not is_pinned and now - resolved.fetched_at >= REFETCH_AFTER:
            known[name] = _resolve_reference(azure, site_id, resolved.text, now)
    return known


def _resolve_reference(azure: Azure, site_id: str, text: str, now: datetime) -> ResolvedReference:
    try:
        reference = parse_reference(text)
    except ValueError:
        return ResolvedReference(
            text=text, reference=None, status="InvalidSyntax", fetched_at=now, value=text
        )
    status, value, version = fetch_secret(azure, find_principal(azure, site_id), reference)
    return ResolvedReference(
        text=text,
        reference=reference,
        status=status,
        fetched_at=now,
        value=text if value is None else value,
        active_version=version,
    )


def fetch_secret(
    azure: Azure, principal: str, reference: KeyVaultReference
) -> tuple[str, str | None, str | None]:
    """Read a secret with an identity.

    Return the status of the reference, the value and the version.
    """
    if not principal:
        return "MSINotEnabled", None, None
    vault = azure.find_vault(reference.vault)
    if vault is None:
        return "VaultNotFound", None, None
    if not may_read(azure, principal, vault.resource_id, reference.secret):
        return "AccessToKeyVaultDenied", None, None
    secret = vault.find_secret(reference.secret)
    if secret is None:
        return "SecretNotFound", None, None
    version = secret.find(reference.version)
    if version is None or not version.attributes.enabled:
        return "SecretVersionNotFound", None, None
    return "Resolved", version.value, version.version
