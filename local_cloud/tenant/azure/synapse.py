"""Serve `{workspace}.dev.azuresynapse.net`: the parts of a workspace, for identities with a role.

The parts are resources of the seed below their workspace, whose `members` are object ids. See
platform.md#synapse.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token

HOSTS = (".dev.azuresynapse.net",)
WORKSPACES = "Microsoft.Synapse/workspaces"
OPTIONS = {
    "list_artifacts": ("api-version", "continuationToken"),
    "get_artifact": ("api-version",),
}
_COLLECTIONS = ("datasets", "linkedservices", "notebooks", "pipelines", "triggers")


def routes(tenant: Tenant) -> list[Route]:
    """Return the routes of every workspace."""
    del tenant  # Handlers find it in the request.
    return [
        Route("/{collection}", list_artifacts),
        Route("/{collection}/{name}", get_artifact),
    ]


async def list_artifacts(request: Request) -> Response:
    """Return a page of a collection, with the URL of the next page."""
    found, size = _find_parts(request), request.app.state.tenant.part(Azure).page_size
    start = int(request.query_params.get("continuationToken") or 0)
    page: JsonObject = {"value": found[start : start + size]}
    if start + size < len(found):
        following = request.url.include_query_params(continuationToken=start + size)
        page["nextLink"] = str(following.replace(scheme="https"))
    return JSONResponse(page)


async def get_artifact(request: Request) -> Response:
    """Return an item of a collection."""
    for part in _find_parts(request):
        if part["name"].lower() == request.path_params["name"].lower():
            return JSONResponse(part)
    raise SimulatedPlatformError(404, "ArtifactNotFound", "The item does not exist.")


def show_workspace(document: JsonObject) -> JsonObject:
    """Return a workspace as Resource Manager shows it, without the identities that have a role."""
    return {name: value for name, value in document.items() if name != "members"}


def _find_parts(request: Request) -> list[JsonObject]:
    """Return the items of a collection; reject (403) an identity without a role."""
    tenant: Tenant = request.app.state.tenant
    caller = require_token(request, "https://dev.azuresynapse.net")
    if request.query_params.get("api-version") != "2020-12-01":
        raise SimulatedPlatformError(400, "ApiVersionInvalid", "The api-version is not supported.")
    collection = request.path_params["collection"].lower()
    if collection not in _COLLECTIONS:
        raise SimulatedPlatformError(404, "NotFound", "There is no such collection.")
    resources = tenant.part(Azure).resources
    name = (request.url.hostname or "").partition(".")[0].lower()
    workspaces = [one for one in resources.list_of_type(WORKSPACES) if one["name"].lower() == name]
    if not workspaces:
        raise SimulatedPlatformError(404, "WorkspaceNotFound", "The workspace does not exist.")
    if caller.object_id not in workspaces[0].get("members", ()):
        raise SimulatedPlatformError(
            403, "Unauthorized", "The principal does not have the required Synapse RBAC permission."
        )
    start = f"{workspaces[0]['id']}/{collection}/".lower()
    found = resources.list_of_type(f"{WORKSPACES}/{collection}")
    return [one for one in found if one["id"].lower().startswith(start)]
