"""Serve the configuration of App Service sites and their slots.

Settings are read with POST and written as a whole dictionary, without ETag. A PUT removes the
settings that it omits and restarts the site. See platform.md#app-settings, #key-vault-references.
"""

import hashlib

from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.references import ResolvedReference
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.site_restrictions import build_effective_restrictions
from local_cloud.tenant.azure.site_runtime import (
    get_configuration,
    get_references,
    put_configuration,
    resolve_references,
    restart,
)
from local_cloud.tenant.azure.state import SITES, SLOTS
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_SITE = f"{GROUP}/providers/{SITES}/{{site}}"
_REFERENCES = "config/configreferences"


def build_routes() -> list[Route]:
    return [
        build_arm_route(method, f"{base}/{path}", handler)
        for base in (_SITE, f"{_SITE}/slots/{{slot}}")
        for method, path, handler in (
            ("POST", "config/appsettings/list", list_application_settings),
            ("PUT", "config/appsettings", update_application_settings),
            ("POST", "config/connectionstrings/list", list_connection_strings),
            ("PUT", "config/connectionstrings", update_connection_strings),
            ("GET", "config/web", get_web_configuration),
            ("PATCH", "config/web", update_web_configuration),
            ("GET", f"{_REFERENCES}/appsettings", list_setting_references),
            ("GET", f"{_REFERENCES}/connectionstrings", list_string_references),
            ("POST", f"{_REFERENCES}/appsettings/refresh", refresh_setting_references),
            ("POST", "restart", restart_site),
            ("POST", "start", start_site),
            ("POST", "stop", stop_site),
            ("GET", "config/slotConfigNames", get_slot_setting_names),
            ("POST", "publishxml", list_publishing_profiles),
            ("POST", "host/default/listkeys", list_host_keys),
        )
    ]


async def list_application_settings(call: ArmCall) -> JsonObject:
    return _build_configuration(call, "appsettings")


async def update_application_settings(call: ArmCall) -> JsonObject:
    return await _replace_settings(call, "appsettings")


async def list_connection_strings(call: ArmCall) -> JsonObject:
    return _build_configuration(call, "connectionstrings")


async def update_connection_strings(call: ArmCall) -> JsonObject:
    return await _replace_settings(call, "connectionstrings")


async def get_web_configuration(call: ArmCall) -> JsonObject:
    return _with_restrictions(_build_configuration(call, "web"))


async def update_web_configuration(call: ArmCall) -> JsonObject:
    site_id = get_site_id(call)
    changes = (await call.read_json()).get("properties", {})
    current = get_configuration(call.azure, site_id, "web")
    document = put_configuration(call.azure, site_id, "web", current | changes)
    return _with_restrictions(document)


async def list_setting_references(call: ArmCall) -> JsonObject:
    return _list_references(call, "appsettings")


async def list_string_references(call: ArmCall) -> JsonObject:
    return _list_references(call, "connectionstrings")


def _list_references(call: ArmCall, part: str) -> JsonObject:
    site_id = get_site_id(call)
    known = get_references(call.azure, site_id, call.tenant.clock.now(), part)
    place = f"{site_id}/{_REFERENCES}/{part}"
    return call.build_page(
        [_build_reference(place, name, one) for name, one in sorted(known.items())]
    )


async def refresh_setting_references(call: ArmCall) -> Response:
    resolve_references(call.azure, get_site_id(call), call.tenant.clock.now())
    return Response(status_code=200)


async def restart_site(call: ArmCall) -> Response:
    restart(call.azure, get_site_id(call), call.tenant.clock.now())
    return Response(status_code=200)


async def start_site(call: ArmCall) -> Response:
    site_id = get_site_id(call)
    _set_state(call, site_id, "Running")
    restart(call.azure, site_id, call.tenant.clock.now())
    return Response(status_code=200)


async def stop_site(call: ArmCall) -> Response:
    _set_state(call, get_site_id(call), "Stopped")
    return Response(status_code=200)


def _set_state(call: ArmCall, site_id: str, state: str) -> None:
    kind = SLOTS if "/slots/" in site_id.lower() else SITES
    site = call.azure.resources.find(kind, site_id)
    assert site is not None
    site["properties"]["state"] = state


async def get_slot_setting_names(call: ArmCall) -> JsonObject:
    """Return the names of settings that stay in their slot during a swap. There are none."""
    site_id = get_site_id(call)
    return {
        "id": f"{site_id}/config/slotConfigNames",
        "name": "slotConfigNames",
        "type": "Microsoft.Web/sites/config",
        "properties": {"appSettingNames": [], "connectionStringNames": []},
    }


async def list_publishing_profiles(call: ArmCall) -> Response:
    """Return how to publish to a site.

    There is no password, because basic authentication is off.
    """
    name = get_site_id(call).rpartition("/sites/")[2].replace("/slots/", "-")
    profile = (
        f'<publishData><publishProfile profileName="{name} - Web Deploy" publishMethod="MSDeploy" '
        f'publishUrl="{name}.scm.azurewebsites.net:443" userName="REDACTED" userPWD="REDACTED" '
        f'destinationAppUrl="https://{name}.azurewebsites.net" /></publishData>'
    )
    return Response(profile, media_type="application/xml")


async def list_host_keys(call: ArmCall) -> JsonObject:
    site_id = get_site_id(call)
    key = hashlib.sha256(site_id.lower().encode()).hexdigest()
    return {"masterKey": key[::-1], "functionKeys": {"default": key}, "systemKeys": {}}


def get_site_id(call: ArmCall) -> str:
    site, slot = call.get_path_part("site"), call.request.path_params.get("slot")
    document = (
        call.get_existing(SITES, site) if slot is None else call.get_existing(SLOTS, site, slot)
    )
    site_id: str = document["id"]
    return site_id


def _build_configuration(call: ArmCall, name: str) -> JsonObject:
    site_id = get_site_id(call)
    return {
        "id": f"{site_id}/config/{name}",
        "name": name,
        "type": "Microsoft.Web/sites/config",
        "properties": get_configuration(call.azure, site_id, name),
    }


async def _replace_settings(call: ArmCall, name: str) -> JsonObject:
    site_id = get_site_id(call)
    properties = (await call.read_json()).get("properties") or {}
    if not isinstance(properties, dict):
        raise SimulatedPlatformError(
            400, "BadRequest", "The parameter properties has an invalid value."
        )
    document = put_configuration(call.azure, site_id, name, properties)
    restart(call.azure, site_id, call.tenant.clock.now())
    return document


def _with_restrictions(web: JsonObject) -> JsonObject:
    properties = web["properties"]
    shown = {"ipSecurityRestrictions": build_effective_restrictions(properties)}
    return web | {"properties": properties | shown}


def _build_reference(place: str, name: str, resolved: ResolvedReference) -> JsonObject:
    properties: JsonObject = {
        "reference": resolved.text,
        "status": resolved.status,
        "source": "KeyVault",
    }
    if resolved.reference is not None:
        properties |= {
            "vaultName": resolved.reference.vault,
            "secretName": resolved.reference.secret,
            "secretVersion": resolved.reference.version or None,
            "activeVersion": resolved.active_version,
            "identityType": {"type": "SystemAssigned"},
        }
    return {
        "id": f"{place}/{name}",
        "name": name,
        "type": "Microsoft.Web/sites/config/configreferences",
        "properties": properties,
    }
