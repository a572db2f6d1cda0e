"""Serve `api.github.com`: webhooks, variables and names of secrets of repositories.

Routes: `get_repository`, `list_webhooks`, `create_webhook`, `get_webhook`, `update_webhook_config`,
`list_actions_variables`, `create_actions_variable`, `get_actions_variable`,
`update_actions_variable`, `list_actions_secrets`. Section `github` of the
seed: `token`, which every request must have, and `repositories` with `name` (`OWNER/NAME`),
`hooks`, `variables` and `secrets` (names).

The secret of a webhook is shown as asterisks. A PATCH of the configuration changes the members that
it names; asterisks that are sent back are stored. See platform.md#github.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.external_services import ExternalService

type JsonObject = dict[str, Any]

HOSTS = ("api.github.com",)
_PAGED = ("per_page", "page")
OPTIONS = {
    **dict.fromkeys(("list_webhooks", "list_actions_variables", "list_actions_secrets"), _PAGED),
    **dict.fromkeys(
        (
            *("get_repository", "create_webhook", "get_webhook", "update_webhook_config"),
            *("create_actions_variable", "get_actions_variable", "update_actions_variable"),
        ),
        (),
    ),
}
_MASK = "********"
#: A name may not begin with a digit or `GITHUB_`.
_VARIABLE_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*", re.IGNORECASE)
_LONGEST_VALUE = 48 * 1024


@dataclass(slots=True, kw_only=True)
class SimulatedRepository:
    """A repository of GitHub. Its webhooks contain their secrets."""

    hooks: dict[str, JsonObject]
    variables: dict[str, JsonObject]
    secrets: Sequence[str]


@dataclass(slots=True)
class GitHub:
    """All repositories by `owner/name` in lower case, and the token that every request needs."""

    token: str = ""
    repositories: dict[str, SimulatedRepository] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _GitHubCall:
    request: Request
    repository: SimulatedRepository

    def build_page(
        self, items: Sequence[JsonObject], most: int
    ) -> tuple[list[JsonObject], JsonObject]:
        query = self.request.query_params
        size, number = min(int(query.get("per_page", "30")), most), int(query.get("page", "1"))
        found = list(items[(number - 1) * size : number * size])
        if number * size >= len(items):
            return found, {}
        following = self.request.url.include_query_params(page=number + 1).replace(scheme="https")
        return found, {"Link": f'<{following}>; rel="next", <{following}>; rel="last"'}


def seed_github(tenant: Tenant, description: JsonObject) -> None:
    state = tenant.get_part(GitHub)
    state.token = description.get("token", state.token)
    for one in description.get("repositories", ()):
        state.repositories[one["name"].lower()] = SimulatedRepository(
            hooks={str(hook["id"]): hook for hook in one.get("hooks", ())},
            variables={each["name"]: each for each in one.get("variables", ())},
            secrets=one.get("secrets", ()),
        )


def build_routes(tenant: Tenant) -> list[Route]:
    del tenant  # Handlers find it in the request.
    hooks, variables = "/hooks", "/actions/variables"
    return [
        _build_route("GET", "", get_repository),
        _build_route("GET", hooks, list_webhooks),
        _build_route("POST", hooks, create_webhook),
        _build_route("GET", f"{hooks}/{{id}}", get_webhook),
        _build_route("PATCH", f"{hooks}/{{id}}/config", update_webhook_config),
        _build_route("GET", variables, list_actions_variables),
        _build_route("POST", variables, create_actions_variable),
        _build_route("GET", f"{variables}/{{name}}", get_actions_variable),
        _build_route("PATCH", f"{variables}/{{name}}", update_actions_variable),
        _build_route("GET", "/actions/secrets", list_actions_secrets),
    ]


async def get_repository(call: _GitHubCall) -> Response:
    owner, name = call.request.path_params["owner"], call.request.path_params["repository"]
    url = f"https://{HOSTS[0]}/repos/{owner}/{name}"
    found = {"name": name, "full_name": f"{owner}/{name}", "private": True, "url": url}
    return JSONResponse(found)


async def create_webhook(call: _GitHubCall) -> Response:
    body = await call.request.json()
    config, events = body.get("config"), body.get("events", ["push"])
    if not isinstance(config, dict) or not _is_url(config.get("url")):
        return _build_rejection(422, "Validation Failed")
    others = call.repository.hooks.values()
    if any((one["config"]["url"], one.get("events")) == (config["url"], events) for one in others):
        return _build_rejection(422, "Hook already exists on this repository")
    identity = max(map(int, call.repository.hooks), default=0) + 1
    hook = {"id": identity, "events": events, "active": body.get("active", True), "config": config}
    call.repository.hooks[str(identity)] = hook
    return JSONResponse(_show_hook(hook), 201)


async def list_webhooks(call: _GitHubCall) -> Response:
    found, headers = call.build_page([*map(_show_hook, call.repository.hooks.values())], 100)
    return JSONResponse(found, headers=headers)


async def get_webhook(call: _GitHubCall) -> Response:
    found = call.repository.hooks.get(call.request.path_params["id"])
    return JSONResponse(_show_hook(found)) if found else _build_rejection(404, "Not Found")


async def update_webhook_config(call: _GitHubCall) -> Response:
    found = call.repository.hooks.get(call.request.path_params["id"])
    if found is None:
        return _build_rejection(404, "Not Found")
    body = await call.request.json()
    if not _is_url(body.get("url", "https://")):
        return _build_rejection(422, "Validation Failed")
    found["config"] = found["config"] | body
    return JSONResponse(_show_hook(found)["config"])


async def list_actions_variables(call: _GitHubCall) -> Response:
    listed = [*call.repository.variables.values()]
    found, headers = call.build_page(listed, 30)
    return JSONResponse({"total_count": len(listed), "variables": found}, headers=headers)


async def create_actions_variable(call: _GitHubCall) -> Response:
    body = await call.request.json()
    name = str(body.get("name", "")).upper()
    if not _VARIABLE_NAME.fullmatch(name) or not _is_value(body.get("value")):
        return _build_rejection(422, "Validation Failed")
    if name in call.repository.variables:
        return _build_rejection(409, "Already exists - Variable already exists")
    call.repository.variables[name] = {"name": name, "value": body["value"]}
    return JSONResponse({}, 201)


async def get_actions_variable(call: _GitHubCall) -> Response:
    found = call.repository.variables.get(call.request.path_params["name"])
    return JSONResponse(found) if found else _build_rejection(404, "Not Found")


async def update_actions_variable(call: _GitHubCall) -> Response:
    found = call.repository.variables.get(call.request.path_params["name"])
    if found is None:
        return _build_rejection(404, "Not Found")
    value = (await call.request.json()).get("value", found["value"])
    if not _is_value(value):
        return _build_rejection(422, "Validation Failed")
    found["value"] = value
    return Response(status_code=204)


async def list_actions_secrets(call: _GitHubCall) -> Response:
    found, headers = call.build_page([{"name": one} for one in call.repository.secrets], 100)
    total = len(call.repository.secrets)
    return JSONResponse({"total_count": total, "secrets": found}, headers=headers)


def _is_url(url: object) -> bool:
    return str(url).startswith(("https://", "http://"))


def _is_value(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= _LONGEST_VALUE


def _show_hook(hook: Mapping[str, Any]) -> JsonObject:
    config = {name: _MASK if name == "secret" else value for name, value in hook["config"].items()}
    return {"type": "Repository", "name": "web", "active": True, **hook, "config": config}


def _build_rejection(status: int, message: str) -> Response:
    return JSONResponse({"message": message, "status": str(status)}, status)


def _build_route(
    method: str, path: str, handler: Callable[[_GitHubCall], Awaitable[Response]]
) -> Route:
    async def answer_request(request: Request) -> Response:
        tenant: Tenant = request.app.state.tenant
        state = tenant.get_part(GitHub)
        if not request.headers.get("User-Agent"):
            return _build_rejection(403, "Request forbidden by administrative rules.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or token != state.token or not token:
            return _build_rejection(401, "Bad credentials")
        name = "{owner}/{repository}".format_map(request.path_params).lower()
        repository = state.repositories.get(name)
        if repository is None:
            return _build_rejection(404, "Not Found")
        try:
            return await handler(_GitHubCall(request=request, repository=repository))
        except json.JSONDecodeError:
            return _build_rejection(400, "Problems parsing JSON")

    return Route(
        f"/repos/{{owner}}/{{repository}}{path}",
        answer_request,
        methods=[method],
        name=handler.__name__,
    )


EXTERNAL = ExternalService(
    service=Service(name="github", hosts=HOSTS, routes=build_routes, options=OPTIONS),
    section="github",
    seed=seed_github,
)
