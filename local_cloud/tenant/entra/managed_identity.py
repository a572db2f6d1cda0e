"""Serve the managed identity endpoint of App Service (2019-08-01) on the control port."""

import secrets
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import LIFETIME
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.entra.endpoints import issue_application_token


async def issue_identity_token(request: Request) -> Response:
    tenant: Tenant = request.app.state.tenant
    header = request.headers.get("X-IDENTITY-HEADER", "")
    if not secrets.compare_digest(header, request.app.state.identity_header):
        return _build_error(401, "The X-IDENTITY-HEADER is missing or wrong.")
    directory = tenant.get_part(Directory)
    identity = directory.principals.get(directory.managed_identity or "")
    asked = request.query_params.get("client_id")
    if identity is None or asked not in (None, identity.client_id):
        return _build_error(400, "No User Assigned or Delegated Managed Identity found.")
    resource = request.query_params.get("resource")
    if not resource:
        return _build_error(400, "'resource' is missing.")
    return JSONResponse(
        {
            "access_token": issue_application_token(tenant, identity.object_id, resource),
            "expires_on": str(int(time.time()) + LIFETIME),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": identity.client_id,
        }
    )


def _build_error(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status)
