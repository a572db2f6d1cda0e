"""Serve Power Apps: environments, connections, connectors and canvas apps.

See platform.md#canvas-apps, #connection-list.
"""

import hashlib
import hmac
import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.paging import parse_top, select_page
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.access import (
    find_environment,
    find_platform,
    find_tenant,
    find_visible_environments,
    require_bap_admin,
    require_bap_caller,
)
from local_cloud.tenant.environments.environment import (
    SimulatedCanvasApp,
    SimulatedConnection,
    SimulatedEnvironment,
)
from local_cloud.tenant.environments.power_platform import list_runtime_endpoints

#: Where apps' documents lie: the address carries a signature, and no token is taken.
DOCUMENT_HOST = "pafeblobprodlocal.blob.core.windows.net"
HOSTS = ("api.powerapps.com", ".api.powerapps.com", DOCUMENT_HOST)
_ADMIN = "/providers/Microsoft.PowerApps/scopes/admin/environments/{environment}"
_API = "/providers/Microsoft.PowerApps/apis"
_PAGE = 50
OPTIONS = {
    "list_environments": ("$top",),
    "list_connections": ("$top",),
    "list_apps": ("$top",),
    "get_app_document": ("sv", "sr", "sig", "sp"),
}


def build_routes(tenant: Tenant) -> list[Route]:  # noqa: ARG001  # what every service module has
    return [
        AnyCaseRoute(f"{_ADMIN}/connections", list_connections),
        AnyCaseRoute(f"{_ADMIN}/apis/{{connector}}", get_connector),
        AnyCaseRoute(f"{_ADMIN}/apps", list_apps),
        AnyCaseRoute("/providers/Microsoft.PowerApps/environments", list_environments),
        AnyCaseRoute("/providers/Microsoft.PowerApps/environments/{environment}", get_environment),
        Route("/{environment}/{app}/document.msapp", get_app_document),
    ]


async def list_environments(request: Request) -> Response:
    mine = find_visible_environments(request, require_bap_caller(request))
    return _build_list_response(request, [_build_environment_body(each) for each in mine])


async def get_environment(request: Request) -> Response:
    mine = find_visible_environments(request, require_bap_caller(request))
    name = request.path_params["environment"]
    found = find_environment(name, mine)
    if found is None:
        raise _build_environment_error(name)
    return JSONResponse(_build_environment_body(found))


def _build_environment_body(environment: SimulatedEnvironment) -> dict[str, Any]:
    return {
        "id": f"/providers/Microsoft.PowerApps/environments/{environment.id}",
        "name": environment.id,
        "location": environment.location,
        "type": "Microsoft.PowerApps/environments",
        "properties": {
            "displayName": environment.display_name,
            "createdTime": format_time(environment.created),
            "environmentSku": environment.sku,
            "azureRegionHint": environment.azure_region,
            "isDefault": environment.is_default,
            "runtimeEndpoints": list_runtime_endpoints(environment),
        },
    }


async def list_connections(request: Request) -> Response:
    """Return all connections of an environment.

    If the tenant assumes that applications may not see them, an application gets none.
    """
    caller = require_bap_admin(request)
    environment = _require_environment(request)
    hidden = find_platform(request).assumptions.connections_hidden_from_applications
    shown = [] if hidden and not caller.is_delegated else list(environment.connections.values())
    return _build_list_response(
        request, [_build_connection_body(request, environment, one) for one in shown]
    )


async def get_connector(request: Request) -> Response:
    """Return the part of a connector's definition that shows how its connections sign in."""
    require_bap_admin(request)
    _require_environment(request)
    name = request.path_params["connector"]
    is_basic = name in find_platform(request).assumptions.connectors_without_oauth
    parameters: dict[str, Any] = (
        {"username": {"type": "string"}, "password": {"type": "securestring"}}
        if is_basic
        else {"token": {"type": "oauthSetting", "oAuthSettings": {"identityProvider": "aad"}}}
    )
    properties = {"displayName": name, "connectionParameters": parameters}
    return JSONResponse({"name": name, "id": f"{_API}/{name}", "properties": properties})


async def list_apps(request: Request) -> Response:
    require_bap_admin(request)
    environment = _require_environment(request)
    apps = environment.canvas_apps.values()
    return _build_list_response(
        request, [_build_app_body(request, environment, one) for one in apps]
    )


async def get_app_document(request: Request) -> Response:
    environment, app = _require_environment(request), request.path_params["app"]
    found = environment.canvas_apps.get(app)
    if found is None or not found.has_document:
        raise SimulatedPlatformError(404, "BlobNotFound", "The specified blob does not exist.")
    if "authorization" in request.headers:
        raise SimulatedPlatformError(
            403, "AuthenticationFailed", "A token and a signature were sent."
        )
    if request.query_params.get("sig") != _sign_app(environment, found):
        raise SimulatedPlatformError(403, "AuthenticationFailed", "Signature did not match.")
    return Response(_build_document(found), media_type="application/octet-stream")


def _build_list_response(request: Request, items: list[dict[str, Any]]) -> Response:
    chosen, next_link = select_page(request, items, parse_top(request, _PAGE))
    return JSONResponse({"value": chosen} | ({"nextLink": next_link} if next_link else {}))


def _require_environment(request: Request) -> SimulatedEnvironment:
    name = request.path_params["environment"]
    found = find_platform(request).environments.get(name)
    if found is None:
        raise _build_environment_error(name)
    return found


def _build_environment_error(name: str) -> SimulatedPlatformError:
    message = f"The environment '{name}' could not be found in the tenant."
    return SimulatedPlatformError(404, "EnvironmentNotFound", message)


def _build_person(request: Request, object_id: str) -> dict[str, Any]:
    found = find_tenant(request).get_part(Directory).principals.get(object_id)
    name = {"displayName": found.name, "email": found.upn} if found else {}
    return {"id": object_id, "type": "User", **name}


def _build_connection_body(
    request: Request, environment: SimulatedEnvironment, connection: SimulatedConnection
) -> dict[str, Any]:
    status: dict[str, Any] = {"status": "Connected"}
    if connection.error:
        error = {"code": "Unauthorized", "message": connection.error}
        status = {"status": "Error", "target": "token", "error": error}
    return {
        "name": connection.name,
        "id": f"{_API}/{connection.api}/connections/{connection.name}",
        "type": "Microsoft.PowerApps/apis/connections",
        "properties": {
            "apiId": f"{_API}/{connection.api}",
            "displayName": connection.name,
            "createdBy": _build_person(request, connection.owner),
            "environment": {"name": environment.id},
            "statuses": [status],
        },
    }


def _build_app_body(
    request: Request, environment: SimulatedEnvironment, app: SimulatedCanvasApp
) -> dict[str, Any]:
    address = (
        f"https://{DOCUMENT_HOST}/{environment.id}/{app.name}/document.msapp"
        f"?sv=2018-03-28&sr=b&sig={_sign_app(environment, app)}&sp=r"
    )
    return {
        "name": app.name,
        "id": f"/providers/Microsoft.PowerApps/apps/{app.name}",
        "type": "Microsoft.PowerApps/apps",
        "properties": {
            "displayName": app.display_name,
            "owner": _build_person(request, app.owner),
            "connectionReferences": {
                f"reference-{number}": {
                    "id": f"{_API}/shared_logicflows",
                    "displayName": "Logic flows",
                    "dataSources": [f"Flow{number}"],
                }
                for number, _ in enumerate(app.flows)
            },
            "appUris": {"documentUri": {"value": address, "readonlyValue": address}},
            "almMode": "Environment",
        },
    }


def _sign_app(environment: SimulatedEnvironment, app: SimulatedCanvasApp) -> str:
    return hmac.digest(environment.id.encode(), app.name.encode(), hashlib.sha256).hex()


def _build_document(app: SimulatedCanvasApp) -> bytes:
    """Return a `.msapp` file. The paths in it have backslashes, as in files of the designer."""
    connections = {
        f"reference-{number}": {
            "connectionRef": {"id": f"{_API}/shared_logicflows"},
            "dataSources": [f"Flow{number}"],
            "workflowEntityId": flow,
        }
        for number, flow in enumerate(app.flows)
    }
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        archive.writestr("Connections\\Connections.json", json.dumps(connections))
        archive.writestr("Header.json", json.dumps({"DocVersion": "1.346"}))
    return content.getvalue()
