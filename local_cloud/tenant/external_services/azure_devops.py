"""Serve `dev.azure.com`: projects, service hooks and variable groups of organizations.

Routes: `list_projects`, `list_hooks`, `create_hook`, `get_hook`, `put_hook`,
`list_variable_groups`, `get_variable_group`, `create_variable_group`, `put_variable_group`, and
what Microsoft's clients ask first: `list_locations`, `list_areas`. Section `azureDevOps` of the
seed: a list of organizations with `name`, `members` (object ids), `projects`, `hooks` and
`variableGroups`.

A PUT replaces a hook or the variables of a group, without a condition. Secret inputs are shown as
asterisks, and asterisks that are sent back are stored. A secret variable is shown as null and keeps
its value if null is sent back. See platform.md#azure-devops.
"""

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import SimulatedCaller, require_token
from local_cloud.tenant.external_services import ExternalService

type JsonObject = dict[str, Any]

HOSTS = ("dev.azure.com",)
AUDIENCE = "499b84ac-1321-427f-aa17-267ca6975798"
_PAGED = ("$top", "continuationToken")
OPTIONS = {
    "list_projects": ("api-version", *_PAGED),
    "list_hooks": ("api-version", "consumerId"),
    "list_variable_groups": ("api-version", *_PAGED),
    **dict.fromkeys(
        (
            *("list_areas", "create_hook", "get_hook", "put_hook"),
            *("create_variable_group", "get_variable_group", "put_variable_group"),
        ),
        ("api-version",),
    ),
}
_VERSION = re.compile(r"api-version=\s*\d")
_SECRET_INPUTS = ("basicAuthPassword", "httpHeaders")
_MASK = "********"
#: Id of a resource, as clients know it → its area, its name and the template of its path.
_LOCATIONS = {
    "e81700f7-3be2-46de-8624-2eb35882fcaa": ("Location", "ResourceAreas", "_apis/{resource}"),
    "603fe2ac-9723-48b9-88ad-09305aa6c6e1": ("core", "projects", "_apis/{resource}/{*projectId}"),
    "fc50d02a-849f-41fb-8af1-0a5216103269": (
        *("hooks", "subscriptions"),
        "_apis/{area}/{resource}/{subscriptionId}",
    ),
    "f5b09dd5-9d54-45a1-8b5a-1c8287d634cc": (
        *("distributedtask", "variablegroups"),
        "{project}/_apis/{area}/{resource}/{groupId}",
    ),
    "ef5b7057-ffc3-4c77-bbad-c10b4a4abcc7": (
        *("distributedtask", "variablegroups"),
        "_apis/{area}/{resource}/{groupId}",
    ),
}
#: Id of an area → its name.
_AREAS = {
    "79134c72-4a58-4b42-976c-04e7115f32bf": "core",
    "a85b8835-c1a1-4aac-ae97-1c3d0ba72dbd": "distributedtask",
}


@dataclass(slots=True, kw_only=True)
class SimulatedOrganization:
    """An organization of Azure DevOps. Its hooks and variable groups contain their secrets."""

    #: Object ids of the identities that are administrators.
    members: Sequence[str]
    projects: Sequence[JsonObject]
    hooks: dict[str, JsonObject]
    #: By id; `variableGroupProjectReferences` has the projects.
    groups: dict[str, JsonObject]


@dataclass(slots=True)
class AzureDevOps:
    organizations: dict[str, SimulatedOrganization] = field(default_factory=dict)
    page_size: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _DevOpsCall:
    request: Request
    state: AzureDevOps
    organization: SimulatedOrganization
    caller: SimulatedCaller

    def build_page(self, items: Sequence[JsonObject]) -> Response:
        query = self.request.query_params
        start = int(query.get("continuationToken") or 0)
        end = start + min(self.state.page_size, int(query.get("$top") or self.state.page_size))
        headers = {"x-ms-continuationtoken": str(end)} if end < len(items) else {}
        found = items[start:end]
        return JSONResponse({"count": len(found), "value": found}, headers=headers)


def seed_azure_devops(tenant: Tenant, description: Sequence[JsonObject]) -> None:
    for one in description:
        tenant.get_part(AzureDevOps).organizations[one["name"].lower()] = SimulatedOrganization(
            members=one.get("members", ()),
            projects=one.get("projects", ()),
            hooks={hook["id"]: hook for hook in one.get("hooks", ())},
            groups={str(group["id"]): group for group in one.get("variableGroups", ())},
        )


def build_routes(tenant: Tenant) -> list[Route]:
    del tenant  # Handlers find it in the request.
    hooks = "/{organization}/_apis/hooks/subscriptions"
    groups = "_apis/distributedtask/variablegroups"
    return [
        _build_route("OPTIONS", "/{organization}/_apis", list_locations),
        _build_route("GET", "/{organization}/_apis/ResourceAreas", list_areas),
        _build_route("GET", "/{organization}/_apis/projects", list_projects),
        _build_route("GET", hooks, list_hooks),
        _build_route("POST", hooks, create_hook),
        _build_route("GET", f"{hooks}/{{id}}", get_hook),
        _build_route("PUT", f"{hooks}/{{id}}", put_hook),
        _build_route("GET", f"/{{organization}}/{{project}}/{groups}", list_variable_groups),
        _build_route("GET", f"/{{organization}}/{{project}}/{groups}/{{id}}", get_variable_group),
        _build_route("POST", f"/{{organization}}/{groups}", create_variable_group),
        _build_route("PUT", f"/{{organization}}/{groups}/{{id}}", put_variable_group),
    ]


async def list_locations(call: _DevOpsCall) -> Response:
    """List the route templates of the organization's resources."""
    del call
    found = [
        {
            "id": identity,
            "area": area,
            "resourceName": name,
            "routeTemplate": template,
            "resourceVersion": 4,
            "minVersion": 1.0,
            "maxVersion": 7.2,
            "releasedVersion": "7.1",
        }
        for identity, (area, name, template) in _LOCATIONS.items()
    ]
    return JSONResponse({"count": len(found), "value": found})


async def list_areas(call: _DevOpsCall) -> Response:
    """List the URL of each resource area, which is always the organization's own URL."""
    url = f"https://{HOSTS[0]}/{call.request.path_params['organization']}/"
    found = [{"id": one, "name": name, "locationUrl": url} for one, name in _AREAS.items()]
    return JSONResponse({"count": len(found), "value": found})


async def list_projects(call: _DevOpsCall) -> Response:
    return call.build_page(call.organization.projects)


async def list_hooks(call: _DevOpsCall) -> Response:
    wanted = call.request.query_params.get("consumerId")
    found = [
        _show_hook(one)
        for one in call.organization.hooks.values()
        if wanted in (None, one["consumerId"])
    ]
    return JSONResponse({"count": len(found), "value": found})


async def create_hook(call: _DevOpsCall) -> Response:
    body = await call.request.json()
    if problem := _find_problem(body):
        return _build_rejection(400, problem)
    identity = str(uuid.uuid4())
    call.organization.hooks[identity] = body | {"id": identity, "status": "enabled"}
    return JSONResponse(_show_hook(call.organization.hooks[identity]))


async def get_hook(call: _DevOpsCall) -> Response:
    found = call.organization.hooks.get(call.request.path_params["id"])
    return (
        JSONResponse(_show_hook(found))
        if found
        else _build_rejection(404, "The hook does not exist.")
    )


async def put_hook(call: _DevOpsCall) -> Response:
    identity, body = call.request.path_params["id"], await call.request.json()
    there = call.organization.hooks.get(identity)
    if there is None:
        return _build_rejection(404, "The hook does not exist.")
    if problem := _find_problem(body):
        return _build_rejection(400, problem)
    call.organization.hooks[identity] = body | {"status": body.get("status", "enabled")}
    return JSONResponse(_show_hook(call.organization.hooks[identity]))


async def list_variable_groups(call: _DevOpsCall) -> Response:
    project = call.request.path_params["project"]
    groups = call.organization.groups.values()
    return call.build_page([_show_group(one) for one in groups if project in _list_projects(one)])


async def get_variable_group(call: _DevOpsCall) -> Response:
    found = call.organization.groups.get(call.request.path_params["id"])
    if found is None or call.request.path_params["project"] not in _list_projects(found):
        return _build_rejection(404, "The variable group does not exist.")
    return JSONResponse(_show_group(found))


async def create_variable_group(call: _DevOpsCall) -> Response:
    body = await call.request.json()
    if not body.get("name") or not _is_group(body):
        return _build_rejection(
            400, "A variable group has a name, variables and project references."
        )
    projects = set(_list_projects(body))
    for one in call.organization.groups.values():
        if one["name"] == body["name"] and projects & {*_list_projects(one)}:
            return _build_rejection(400, f"A variable group named {body['name']} already exists.")
    identity = max(map(int, call.organization.groups), default=0) + 1
    call.organization.groups[str(identity)] = body | {"id": identity}
    return JSONResponse(_show_group(call.organization.groups[str(identity)]))


async def put_variable_group(call: _DevOpsCall) -> Response:
    identity, body = call.request.path_params["id"], await call.request.json()
    there = call.organization.groups.get(identity)
    if there is None:
        return _build_rejection(404, "The variable group does not exist.")
    if not _is_group(body):
        return _build_rejection(400, "A variable group has variables and project references.")
    kept = there["variables"]
    variables = {
        name: one | {"value": kept[name]["value"]}
        if one.get("isSecret") and one.get("value") is None and name in kept
        else one
        for name, one in body["variables"].items()
    }
    call.organization.groups[identity] = body | {"id": there["id"], "variables": variables}
    return JSONResponse(_show_group(call.organization.groups[identity]))


def _find_problem(hook: JsonObject) -> str:
    """Return why a service hook is rejected, or an empty text if it is valid."""
    inputs = hook.get("consumerInputs") or {}
    required = ("publisherId", "eventType", "consumerId", "consumerActionId", "publisherInputs")
    if missing := [name for name in required if name not in hook]:
        return f"These members are missing: {', '.join(missing)}."
    if not str(inputs.get("url", "")).startswith("https://"):
        return "The input url must be an HTTPS address."
    return ""


def _is_group(body: JsonObject) -> bool:
    return bool(body.get("variables") and body.get("variableGroupProjectReferences"))


def _show_hook(hook: Mapping[str, Any]) -> JsonObject:
    inputs = {
        name: _MASK if name in _SECRET_INPUTS else value
        for name, value in hook["consumerInputs"].items()
    }
    address = f"https://dev.azure.com/_apis/hooks/subscriptions/{hook['id']}"
    return {**hook, "consumerInputs": inputs, "url": address, "modifiedBy": {"id": "x"}}


def _show_group(group: Mapping[str, Any]) -> JsonObject:
    variables = {
        name: one | {"value": None} if one.get("isSecret") else one
        for name, one in group["variables"].items()
    }
    is_shared = len(_list_projects(group)) > 1
    return {**group, "variables": variables, "isShared": is_shared, "modifiedBy": {"id": "x"}}


def _list_projects(group: Mapping[str, Any]) -> list[str]:
    return [one["projectReference"]["id"] for one in group["variableGroupProjectReferences"]]


def _build_rejection(status: int, message: str) -> Response:
    body = {"$id": "1", "message": message, "typeKey": "VssServiceException", "errorCode": 0}
    return JSONResponse(body, status)


def _build_route(
    method: str, path: str, handler: Callable[[_DevOpsCall], Awaitable[Response]]
) -> Route:
    async def answer_request(request: Request) -> Response:
        tenant: Tenant = request.app.state.tenant
        caller = require_token(request, AUDIENCE)
        state = tenant.get_part(AzureDevOps)
        organization = state.organizations.get(request.path_params["organization"].lower())
        if organization is None:
            return _build_rejection(404, "The organization does not exist.")
        if caller.object_id not in organization.members:
            return _build_rejection(
                401, "TF400813: The user is not authorized to access this resource."
            )
        version = request.headers.get("accept", "") + str(request.query_params)
        if method in ("POST", "PUT") and not _VERSION.search(version):
            return _build_rejection(400, "No api-version was supplied for the request.")
        call = _DevOpsCall(request=request, state=state, organization=organization, caller=caller)
        try:
            return await handler(call)
        except json.JSONDecodeError:
            return _build_rejection(400, "The body is not JSON.")

    return Route(path, answer_request, methods=[method], name=handler.__name__)


EXTERNAL = ExternalService(
    service=Service(name="azure_devops", hosts=HOSTS, routes=build_routes, options=OPTIONS),
    section="azureDevOps",
    seed=seed_azure_devops,
)
