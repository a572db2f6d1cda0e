"""Serve Container Apps, with their secrets and revisions.

Only an action returns the values of secrets. A changed template creates a revision. Containers read
secrets when they start. See platform.md#container-apps.
"""

import uuid
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, HOST, SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.azure.references import parse_reference
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.site_identity import find_assigned_principal
from local_cloud.tenant.azure.site_runtime import fetch_secret
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

CONTAINER_APPS = "Microsoft.App/containerApps"
REVISIONS = f"{CONTAINER_APPS}/revisions"
_PATH = f"{GROUP}/providers/{CONTAINER_APPS}/{{name}}"
#: How long containers keep the value of a secret in Key Vault that has changed.
REFRESH_AFTER = timedelta(minutes=30)
_OPERATION = "Microsoft.App/locations/westeurope/containerappOperationStatuses"


def build_routes() -> list[Route]:
    revision = f"{_PATH}/revisions/{{revision}}"
    return [
        build_arm_route("PUT", _PATH, put_container_app),
        build_arm_route("PATCH", _PATH, update_container_app),
        build_arm_route("POST", f"{_PATH}/listSecrets", list_container_app_secrets),
        build_arm_route("POST", f"{revision}/activate", activate_revision),
        build_arm_route("POST", f"{revision}/deactivate", deactivate_revision),
        build_arm_route("POST", f"{revision}/restart", restart_revision),
        build_arm_route("GET", f"{SUBSCRIPTION}/providers/{_OPERATION}/{{operation}}", get_change),
    ]


async def put_container_app(call: ArmCall) -> Response:
    name, body = call.get_path_part("name"), await call.read_json()
    identity = call.build_resource_id(CONTAINER_APPS, name)
    there = call.azure.resources.find(CONTAINER_APPS, identity)
    given = {
        key: body[key] for key in ("location", "tags", "identity", "properties") if key in body
    }
    document = given | {"id": identity, "name": name, "type": CONTAINER_APPS}
    write_container_app(call.azure, document, there, call.tenant.clock.now())
    return JSONResponse(show_container_app(document), 200 if there else 201)


async def update_container_app(call: ArmCall) -> Response:
    there = call.get_existing(CONTAINER_APPS, call.get_path_part("name"))
    merged = _merge_patch(there, await call.read_json())
    write_container_app(call.azure, merged, there, call.tenant.clock.now())
    path = (
        f"subscriptions/{call.get_path_part('subscription')}/providers/{_OPERATION}/{uuid.uuid4()}"
    )
    url = f"https://{HOST}/{path}?api-version={call.request.query_params['api-version']}"
    return Response(status_code=202, headers={"Azure-AsyncOperation": url, "Retry-After": "1"})


async def get_change(call: ArmCall) -> JsonObject:
    """Return the state of an earlier change: it has always succeeded."""
    return {"name": call.get_path_part("operation"), "status": "Succeeded"}


async def list_container_app_secrets(call: ArmCall) -> JsonObject:
    return {"value": _list_secrets(call.get_existing(CONTAINER_APPS, call.get_path_part("name")))}


async def activate_revision(call: ArmCall) -> Response:
    return _set_active(call, is_active=True)


async def deactivate_revision(call: ArmCall) -> Response:
    return _set_active(call, is_active=False)


async def restart_revision(call: ArmCall) -> Response:
    app = call.get_existing(CONTAINER_APPS, call.get_path_part("name"))
    revision = call.get_existing(
        REVISIONS, call.get_path_part("name"), call.get_path_part("revision")
    )
    _start_containers(call.azure, app, revision, call.tenant.clock.now())
    return JSONResponse(f"Restarted {revision['name']}")


def write_container_app(
    azure: Azure, document: JsonObject, there: JsonObject | None, now: datetime
) -> None:
    """Store a container app. A new template creates a revision and starts its containers.

    Rejects (400) a secret without a value, a change that adds a Key Vault secret which the app may
    not read, and a used revision suffix.
    """
    known = {one.get("keyVaultUrl") for one in _list_secrets(there)} if there else set()
    for secret in _list_secrets(document):
        url = secret.get("keyVaultUrl")
        if there and url and url not in known and _fetch_secret(azure, document, secret) is None:
            raise SimulatedPlatformError(
                400,
                "ContainerAppSecretInvalid",
                "Failed to update secrets: unable to get value using Managed identity "
                f"{secret.get('identity')} for secret {secret['name']}.",
            )
        if secret.get("value") is None and not secret.get("keyVaultUrl"):
            raise SimulatedPlatformError(
                400, "ContainerAppSecretInvalid", f"The secret '{secret['name']}' has no value."
            )
    properties = document.setdefault("properties", {})
    template = properties.setdefault("template", {})
    configuration = properties.setdefault("configuration", {})
    configuration.setdefault("activeRevisionsMode", "Single")
    properties["provisioningState"] = "Succeeded"
    old = there["properties"] if there else {}
    if template == old.get("template"):
        azure.resources.put(document)
        return
    revisions = list_revisions(azure, document["id"])
    suffix = template.get("revisionSuffix") or uuid.uuid4().hex[:7]
    name = f"{document['name']}--{suffix}"
    if any(one["name"] == name for one in revisions):
        raise SimulatedPlatformError(
            400, "ContainerAppInvalidRevisionSuffix", f"The revision '{name}' exists."
        )
    if configuration["activeRevisionsMode"] == "Single":
        for one in revisions:
            one["properties"]["active"] = False
    revision = {
        "id": f"{document['id']}/revisions/{name}",
        "name": name,
        "type": REVISIONS,
        "properties": {"active": True, "template": deepcopy(template)},
    }
    properties |= {"latestRevisionName": name, "latestReadyRevisionName": name}
    azure.resources.put(document)
    azure.resources.put(revision)
    _start_containers(azure, document, revision, now)


def list_revisions(azure: Azure, app_id: str) -> list[JsonObject]:
    start = f"{app_id}/revisions/".lower()
    return [
        one
        for one in azure.resources.list_of_type(REVISIONS)
        if one["id"].lower().startswith(start)
    ]


def show_container_app(document: JsonObject) -> JsonObject:
    shown = deepcopy(document)
    for secret in _list_secrets(shown):
        secret.pop("value", None)
    return shown


def get_container_variables(azure: Azure, revision: JsonObject, now: datetime) -> dict[str, str]:
    """Return the environment variables of a revision's containers.

    If the app uses Key Vault, containers that started 30 minutes ago or earlier are started again
    first. Azure does this only for references without a version.
    """
    app = azure.resources.find(CONTAINER_APPS, revision["id"].partition("/revisions/")[0])
    key = revision["id"].lower()
    is_old = now - azure.container_starts[key] >= REFRESH_AFTER
    if app and is_old and any("keyVaultUrl" in one for one in _list_secrets(app)):
        _start_containers(azure, app, revision, now)
    return azure.container_variables[key]


def _fetch_secret(azure: Azure, app: JsonObject, secret: JsonObject) -> str | None:
    identity = str(secret.get("identity") or "")
    is_system = identity.lower() == "system"
    principal = find_assigned_principal(app, "" if is_system else identity or "none")
    reference = parse_reference(f"@Microsoft.KeyVault(SecretUri={secret['keyVaultUrl']})")
    return fetch_secret(azure, principal, reference)[1]


def _start_containers(azure: Azure, app: JsonObject, revision: JsonObject, now: datetime) -> None:
    values = {
        secret["name"]: _fetch_secret(azure, app, secret)
        if secret.get("keyVaultUrl")
        else secret.get("value")
        for secret in _list_secrets(app)
    }
    template = revision["properties"]["template"]
    key = revision["id"].lower()
    azure.restarts[app["id"].lower()] += 1
    azure.container_starts[key] = now
    azure.container_variables[key] = {
        f"{container['name']}/{variable['name']}": str(
            values.get(variable["secretRef"])
            if "secretRef" in variable
            else variable.get("value", "")
        )
        for kind in ("containers", "initContainers")
        for container in template.get(kind) or ()
        for variable in container.get("env") or ()
    }


def _set_active(call: ArmCall, *, is_active: bool) -> Response:
    revision = call.get_existing(
        REVISIONS, call.get_path_part("name"), call.get_path_part("revision")
    )
    revision["properties"]["active"] = is_active
    return Response(status_code=200)


def _list_secrets(document: Mapping[str, JsonObject]) -> list[JsonObject]:
    found: list[JsonObject] = document["properties"].get("configuration", {}).get("secrets") or []
    return found


def _merge_patch(document: JsonObject, change: JsonObject) -> JsonObject:
    """Return a document changed by a JSON merge patch (RFC 7396)."""
    merged = dict(document)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            there = merged.get(name)
            merged[name] = _merge_patch(there if isinstance(there, dict) else {}, value)
        else:
            merged[name] = value
    return merged
