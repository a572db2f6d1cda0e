"""Serve the one operation of Microsoft Graph that setup uses: to assign an app role."""

from collections.abc import Mapping
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.entra.directory import Directory

HOSTS = ("graph.microsoft.com",)
OPTIONS: Mapping[str, tuple[str, ...]] = {}
_MEMBERS = ("principalId", "resourceId", "appRoleId")


def build_routes(_: Tenant) -> list[Route]:
    path = "/v1.0/servicePrincipals/{principal}/appRoleAssignments"
    return [Route(path, assign_app_role, methods=["POST"])]


async def assign_app_role(request: Request) -> Response:
    require_token(request, f"https://{HOSTS[0]}")
    directory = request.app.state.tenant.get_part(Directory)
    principal = request.path_params["principal"]
    if principal not in directory.principals:
        text = f"Resource '{principal}' does not exist."
        raise SimulatedPlatformError(404, "Request_ResourceNotFound", text)
    body = await request.json()
    try:
        named = {member: str(UUID(body[member])) for member in _MEMBERS}
    except (KeyError, ValueError) as error:
        text = f"The body must name {', '.join(_MEMBERS)}, each as a GUID."
        raise SimulatedPlatformError(400, "Request_BadRequest", text) from error
    if named["principalId"] != principal:
        raise SimulatedPlatformError(
            400, "Request_BadRequest", "principalId is not that of the path."
        )
    return JSONResponse({"id": str(uuid4()), "principalType": "ServicePrincipal"} | named, 201)
