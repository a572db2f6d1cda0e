"""Store named values of API Management that refer to Key Vault, and return their values.

The service reads the secret when the named value is written, and again after 4 hours. It uses the
identity that the named value names. See platform.md#api-management.
"""

from datetime import datetime, timedelta

from local_cloud.tenant.azure.references import ResolvedReference, parse_reference
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.site_identity import find_assigned_principal
from local_cloud.tenant.azure.site_runtime import fetch_secret
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_LONGEST_VALUE = 4096
REFRESH_AFTER = timedelta(hours=4)
_SERVICE = "Microsoft.ApiManagement/service"


def store_named_value(azure: Azure, document: JsonObject, now: datetime) -> None:
    """Store a named value, after reading the Key Vault secret that it refers to.

    If the secret cannot be read, the named value stays as it was; the error is stored for the
    client that polls the write. Rejects (400) an invalid named value.
    """
    azure.failed_writes.pop(document["id"].lower(), None)
    properties, value = document["properties"], document["properties"].get("value")
    if "keyVault" not in properties:
        if not 0 < len(str(value or "").strip()) <= _LONGEST_VALUE:
            raise _build_error("The value's length is invalid.")
        azure.references.pop(document["id"].lower(), None)
    elif value is not None or not properties.get("secret"):
        raise _build_error("A value in Key Vault must be a secret without a separate value.")
    else:
        found = _fetch_secret(azure, document, now)
        if found.status != "Resolved":
            azure.failed_writes[document["id"].lower()] = (
                "Failed to access KeyVault Secret "
                f"{properties['keyVault']['secretIdentifier']} using Managed Service Identity "
                f"(http://aka.ms/apimmsi) of Api Management service: {found.status}."
            )
            return
        azure.references[document["id"].lower()] = {"": found}
        status = {"code": "Success", "timeStampUtc": now.isoformat()}
        properties["keyVault"] = properties["keyVault"] | {"lastStatus": status}
    azure.resources.put(document)


def read_named_value(azure: Azure, document: JsonObject, now: datetime) -> str:
    if "keyVault" not in document["properties"]:
        return str(document["properties"].get("value", ""))
    known = azure.references.get(document["id"].lower(), {}).get("")
    if known is None or now - known.fetched_at >= REFRESH_AFTER:
        known = _fetch_secret(azure, document, now)
        azure.references[document["id"].lower()] = {"": known}
    return known.value


def _fetch_secret(azure: Azure, document: JsonObject, now: datetime) -> ResolvedReference:
    held = document["properties"]["keyVault"]
    text = held.get("secretIdentifier", "")
    try:
        reference = parse_reference(f"@Microsoft.KeyVault(SecretUri={text})")
    except ValueError as error:
        raise _build_error("The secret identifier is invalid.") from error
    service = azure.resources.find(_SERVICE, document["id"].partition("/namedValues/")[0])
    principal = find_assigned_principal(service, held.get("identityClientId") or "")
    status, value, version = fetch_secret(azure, principal, reference)
    return ResolvedReference(
        text=text,
        reference=reference,
        status=status,
        fetched_at=now,
        value=value or "",
        active_version=version,
    )


def _build_error(text: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(400, "ValidationError", text)
