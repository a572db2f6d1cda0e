"""Serve `{workspace}.dev.azuresynapse.net`, with the pipelines and other parts of a workspace.

The parts are resources of the seed below their workspace. A PUT answers 202; its save ends later,
and may fail then. A workspace has `members`, the object ids with the role Synapse Artifact
Publisher, and `readers`, those with Synapse Artifact User. See platform.md#synapse.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.published_parts import (
    require_etag,
    require_valid_part,
    set_publish_time,
    show_part,
)
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.environments.power_platform import PowerPlatform

HOSTS = (".dev.azuresynapse.net",)
WORKSPACES = "Microsoft.Synapse/workspaces"
OPTIONS = {
    "list_artifacts": ("api-version", "continuationToken"),
    "get_artifact": ("api-version",),
    "put_artifact": ("api-version",),
    "get_artifact_operation": ("api-version",),
    "check_access": ("api-version",),
}
_VERSION = "2020-12-01"
_READ = "/read"
_COLLECTIONS = ("datasets", "linkedservices", "notebooks", "pipelines", "triggers")


@dataclass(slots=True, kw_only=True)
class _Save:
    """An accepted save of a part: in progress, completed or failed."""

    workspace_id: str
    document: JsonObject
    #: What the request's `If-Match` had.
    etag: str | None
    ends_at: datetime
    is_over: bool = False
    error: SimulatedPlatformError | None = None


@dataclass(slots=True)
class Synapse:
    saves: dict[str, _Save] = field(default_factory=dict)


def build_routes(tenant: Tenant) -> list[Route]:
    del tenant  # Handlers find it in the request.
    return [
        AnyCaseRoute("/operationResults/{operation}", get_artifact_operation),
        AnyCaseRoute("/checkAccessSynapseRbac", check_access, methods=["POST"]),
        AnyCaseRoute("/{collection}", list_artifacts),
        AnyCaseRoute("/{collection}/{name}", get_artifact),
        AnyCaseRoute("/{collection}/{name}", put_artifact, methods=["PUT"]),
    ]


async def list_artifacts(request: Request) -> Response:
    found, size = _Workspace(request).list_parts(), _read_azure(request).page_size
    start = int(request.query_params.get("continuationToken") or 0)
    page: JsonObject = {"value": [show_part(one) for one in found[start : start + size]]}
    if start + size < len(found):
        following = request.url.include_query_params(continuationToken=start + size)
        page["nextLink"] = str(following.replace(scheme="https"))
    return JSONResponse(page)


async def get_artifact(request: Request) -> Response:
    if found := _Workspace(request).find_part():
        return JSONResponse(show_part(found))
    raise SimulatedPlatformError(404, "ArtifactNotFound", "The item does not exist.")


async def put_artifact(request: Request) -> Response:
    workspace = _Workspace(request, is_write=True)
    tenant, there = workspace.tenant, workspace.find_part()
    body = await _read_body(request)
    name, etag = request.path_params["name"], request.headers.get("If-Match")
    require_etag(etag, there)
    kind = f"{WORKSPACES}/{workspace.collection}"
    document = {
        "id": there["id"] if there else f"{workspace.id}/{workspace.collection}/{name}",
        "name": there["name"] if there else name,
        "type": kind,
        "properties": body.get("properties"),
    }
    seconds = tenant.get_part(PowerPlatform).assumptions.artifact_save_seconds
    operation = str(uuid.uuid4())
    tenant.get_part(Synapse).saves[operation] = _Save(
        workspace_id=workspace.id,
        document=document,
        etag=etag,
        ends_at=tenant.clock.now() + timedelta(seconds=seconds),
    )
    now = format_time(tenant.clock.now())
    accepted = {
        **{member: document[member] for member in ("id", "name", "type")},
        "recordId": len(tenant.get_part(Synapse).saves),
        "state": "Updating" if there else "Creating",
        "created": now,
        "changed": now,
        "operationId": operation,
        "artifactId": str(uuid.uuid5(uuid.NAMESPACE_URL, document["id"])).upper(),
    }
    return _build_accepted_response(request, operation, accepted)


async def get_artifact_operation(request: Request) -> Response:
    """Return the state of a save: 202 while it runs, and 200 afterwards, even if it failed."""
    workspace = _Workspace(request)
    operation = request.path_params["operation"]
    save = workspace.tenant.get_part(Synapse).saves.get(operation)
    if save is None or save.workspace_id != workspace.id:
        raise SimulatedPlatformError(404, "NotFound", "There is no such operation.")
    if not save.is_over:
        return _build_accepted_response(request, operation, {"status": "InProgress"})
    if save.error:
        return JSONResponse({"status": "Failed", **save.error.build_body()})
    return JSONResponse(show_part(save.document))


async def check_access(request: Request) -> Response:
    """Return which of the requested actions the role of a principal permits in the workspace."""
    workspace, body = _Workspace(request), await _read_body(request)
    if body.get("scope") != f"workspaces/{workspace.name}":
        raise SimulatedPlatformError(400, "BadRequest", "The scope is another workspace.")
    principal = (body.get("subject") or {}).get("principalId")
    decisions = [
        {
            "accessDecision": "Allowed"
            if workspace.has_permission(principal, one["id"])
            else "NotAllowed",
            "actionId": one["id"],
        }
        for one in body.get("actions", ())
    ]
    return JSONResponse({"AccessDecisions": decisions})


def show_workspace(document: JsonObject) -> JsonObject:
    hidden = ("members", "readers")
    return {name: value for name, value in document.items() if name not in hidden}


class _Workspace:
    """The workspace that a request names.

    Rejects (403) a person or application without a role in it.
    """

    def __init__(self, request: Request, *, is_write: bool = False) -> None:
        self.tenant: Tenant = request.app.state.tenant
        self._request = request
        self._resources = _read_azure(request).resources
        caller = require_token(request, "https://dev.azuresynapse.net")
        if request.query_params.get("api-version") != _VERSION:
            text = "The api-version is not supported."
            raise SimulatedPlatformError(400, "ApiVersionInvalid", text)
        name = (request.url.hostname or "").partition(".")[0].lower()
        listed = self._resources.list_of_type(WORKSPACES)
        found = [one for one in listed if one["name"].lower() == name]
        if not found:
            raise SimulatedPlatformError(404, "WorkspaceNotFound", "The workspace does not exist.")
        self._members = found[0].get("members", ())
        self._readers = found[0].get("readers", ())
        self.name: str = found[0]["name"]
        if not self.has_permission(caller.object_id, "write" if is_write else _READ):
            text = "The principal does not have the required Synapse RBAC permission."
            raise SimulatedPlatformError(403, "Unauthorized", text)
        self.id: str = found[0]["id"]
        _end_saves(self.tenant)

    def has_permission(self, principal: object, action: str) -> bool:
        may_read = principal in self._readers and action.endswith(_READ)
        return principal in self._members or may_read

    @property
    def collection(self) -> str:
        collection: str = self._request.path_params["collection"].lower()
        if collection not in _COLLECTIONS:
            raise SimulatedPlatformError(404, "NotFound", "There is no such collection.")
        return collection

    def list_parts(self) -> list[JsonObject]:
        start = f"{self.id}/{self.collection}/".lower()
        found = self._resources.list_of_type(f"{WORKSPACES}/{self.collection}")
        return [one for one in found if one["id"].lower().startswith(start)]

    def find_part(self) -> JsonObject | None:
        name = self._request.path_params["name"]
        kind = f"{WORKSPACES}/{self.collection}"
        return self._resources.find(kind, f"{self.id}/{self.collection}/{name}")


def _end_saves(tenant: Tenant) -> None:
    """End the saves that are due. Each one changes its item, or fails."""
    resources = tenant.get_part(Azure).resources
    for save in tenant.get_part(Synapse).saves.values():
        if save.is_over or save.ends_at > tenant.clock.now():
            continue
        save.is_over = True
        document, workspace_id = save.document, save.workspace_id
        there = resources.find(document["type"], document["id"])

        def has_item(collection: str, name: str, owner: str = workspace_id) -> bool:
            kind = f"{WORKSPACES}/{collection}"
            return resources.find(kind, f"{owner}/{collection}/{name}") is not None

        try:
            require_etag(save.etag, there)
            require_valid_part(
                document["type"].rpartition("/")[2], document["properties"], there, has_item
            )
        except SimulatedPlatformError as error:
            save.error = error
        else:
            save.document = set_publish_time(document, save.ends_at)
            resources.put(save.document)


def _build_accepted_response(request: Request, operation: str, body: JsonObject) -> Response:
    url = f"https://{request.url.hostname}/operationResults/{operation}?api-version={_VERSION}"
    return JSONResponse(body, status_code=202, headers={"Location": url, "Retry-After": "0"})


async def _read_body(request: Request) -> JsonObject:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise SimulatedPlatformError(400, "BadRequest", "The body is not a JSON object.")
    return body


def _read_azure(request: Request) -> Azure:
    tenant: Tenant = request.app.state.tenant
    return tenant.get_part(Azure)
