"""Export flows as packages, and as ARM templates.

BAP creates a package, and a blob store serves it. The address of a package has a signature; a
request that also has a token is rejected.
"""

import base64
import json
import secrets
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.environments.access import (
    find_tenant,
    require_bap_caller,
    require_flow_caller,
    require_shown_flow,
)
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow
from local_cloud.tenant.flow_service.bodies import build_full_body

BLOB_HOST = "bapfeblobprodlocal.blob.core.windows.net"
OPTIONS: dict[str, tuple[str, ...]] = {"get_package": ("sv", "sr", "sig", "sp")}
_ENVIRONMENT = "/providers/Microsoft.BusinessAppPlatform/environments/{environment}"
_FLOW = "Microsoft.Flow/flows"
_TEMPLATE = "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#"


@dataclass(slots=True)
class Packages:
    made: dict[str, tuple[str, bytes]] = field(default_factory=dict)


def build_bap_routes() -> list[Route]:
    return [
        AnyCaseRoute(
            f"{_ENVIRONMENT}/listPackageResources", list_package_resources, methods=["POST"]
        ),
        AnyCaseRoute(f"{_ENVIRONMENT}/exportPackage", export_package, methods=["POST"]),
        Route("/packages/{name}.zip", get_package),
    ]


async def list_package_resources(request: Request) -> Response:
    _, flow = await _find_named_flow(request, "baseResourceIds")
    root = f"/providers/{_FLOW}/{flow.name}"
    parts = _list_dependencies(flow)
    resources = {
        _build_resource_key(root): _build_resource(root, _FLOW, flow.display_name, "Root")
        | {"dependsOn": [_build_resource_key(part) for part in parts]},
        **{
            _build_resource_key(part): _build_resource(part, kind, part.rpartition("/")[2], "Child")
            for part, kind in parts.items()
        },
    }
    return JSONResponse({"status": "Succeeded", "baseResourceIds": [root], "resources": resources})


async def export_package(request: Request) -> Response:
    environment, flow = await _find_named_flow(request, "includedResourceIds")
    details = (await request.json()).get("details") or {}
    content = BytesIO()
    folder = f"{_FLOW}/{flow.name}"
    resources = {flow.name: {"type": _FLOW, "suggestedCreationType": "Update"}}
    documents = {
        "manifest.json": {"schema": "1.0", "details": details, "resources": resources},
        f"{_FLOW}/manifest.json": {"flowAssets": {"assetPaths": [flow.name]}},
        f"{folder}/definition.json": build_full_body(find_tenant(request), environment, flow),
        f"{folder}/apisMap.json": {},
        f"{folder}/connectionsMap.json": {},
    }
    with ZipFile(content, "w") as archive:
        for path, document in documents.items():
            archive.writestr(path, json.dumps(document))
    name, signature = f"{flow.name}_{secrets.token_hex(4)}", secrets.token_urlsafe(32)
    find_tenant(request).get_part(Packages).made[name] = signature, content.getvalue()
    link = f"https://{BLOB_HOST}/packages/{name}.zip?sv=2018-03-28&sr=b&sig={signature}&sp=r"
    return JSONResponse({"details": details, "packageLink": {"value": link}, "status": "Succeeded"})


async def get_package(request: Request) -> Response:
    made = find_tenant(request).get_part(Packages).made.get(request.path_params["name"])
    if made is None:
        raise SimulatedPlatformError(404, "BlobNotFound", "The specified blob does not exist.")
    if "authorization" in request.headers or request.query_params.get("sig") != made[0]:
        raise SimulatedPlatformError(
            403, "AuthenticationFailed", "The signature alone has to match."
        )
    return Response(made[1], media_type="application/zip")


async def export_to_arm_template(request: Request) -> Response:
    _, flow = require_shown_flow(request, require_flow_caller(request))
    workflow = {
        "type": "Microsoft.Logic/workflows",
        "name": "[parameters('logicAppName')]",
        "apiVersion": "2017-07-01",
        "location": "[parameters('logicAppLocation')]",
        "properties": {"definition": flow.parse_properties()["definition"], "parameters": {}},
    }
    name = {"type": "string", "defaultValue": flow.display_name.replace(" ", "-")}
    location = {"type": "string", "defaultValue": "[resourceGroup().location]"}
    return JSONResponse(
        {
            "$schema": _TEMPLATE,
            "contentVersion": "1.0.0.0",
            "parameters": {"logicAppName": name, "logicAppLocation": location},
            "variables": {},
            "resources": [workflow],
            "outputs": {},
        }
    )


async def _find_named_flow(request: Request, member: str) -> tuple[SimulatedEnvironment, Flow]:
    caller = require_bap_caller(request)
    [resource] = (await request.json())[member]
    return require_shown_flow(request, caller, str(resource).rpartition("/")[2])


def _list_dependencies(flow: Flow) -> dict[str, str]:
    """Return the type of each connector and connection that a flow uses, by its id."""
    parts: dict[str, str] = {}
    for reference in (flow.parse_properties().get("connectionReferences") or {}).values():
        api = f"/providers/Microsoft.PowerApps/apis/{reference['api']['name']}"
        parts[api] = "Microsoft.PowerApps/apis"
        if name := (reference.get("connection") or {}).get("name"):
            parts[f"{api}/connections/{name}"] = "Microsoft.PowerApps/apis/connections"
    return parts


def _build_resource(resource_id: str, kind: str, name: str, hierarchy: str) -> dict[str, Any]:
    return {
        "id": resource_id,
        "name": resource_id.rpartition("/")[2],
        "type": kind,
        "creationType": "Existing, New, Update",
        "details": {"displayName": name},
        "configurableBy": "User",
        "hierarchy": hierarchy,
        "dependsOn": [],
    }


def _build_resource_key(resource_id: str) -> str:
    """Return the name of a resource in the package: its id in upper case, in base64."""
    return base64.b64encode(resource_id.upper().encode()).decode()
