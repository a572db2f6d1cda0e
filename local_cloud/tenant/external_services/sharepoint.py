"""Serve `*.sharepoint.com`: webhooks of lists and site scripts, as `_api` of SharePoint Online.

Routes: `list_lists`, `list_subscriptions`, `list_site_scripts` and `get_site_script`, the last two
by POST. Section `sharePoint` of the seed: `pageSize`, `siteScripts` with `Id`, `Title` and
`Content`, and `sites` with `url` (`HOST/sites/NAME`), `readers` and `owners` (object ids of
applications with read or with full control), and `lists` with `Id`, `Title` and `subscriptions`.

The audience of a token is the host. A reader sees lists and site scripts, and only an owner sees
all subscriptions of a list. Without JSON in `Accept`, the answer is Atom.

Documented: learn.microsoft.com/sharepoint/dev/apis/webhooks/lists/get-subscription (full control),
learn.microsoft.com/sharepoint/dev/declarative-customization/site-design-rest-api (POST). Reported:
an application with full control of one site lists the tenant's site scripts
(pnp/sp-dev-site-scripts #11). Assumed: lists have pages; an application with read may list scripts.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.external_services import ExternalService

type JsonObject = dict[str, Any]

HOSTS = (".sharepoint.com",)
OPTIONS = {
    "list_lists": ("$select", "$top", "$skiptoken"),
    **dict.fromkeys(("list_subscriptions", "list_site_scripts", "get_site_script"), ()),
}
_SCRIPTS = "_api/Microsoft.Sharepoint.Utilities.WebTemplateExtensions.SiteScriptUtility"


@dataclass(slots=True, kw_only=True)
class SimulatedSite:
    readers: Sequence[str]
    owners: Sequence[str]
    lists: Sequence[JsonObject]


@dataclass(slots=True)
class SharePoint:
    """All sites by host and path in lower case, and the tenant's site scripts by id."""

    sites: dict[str, SimulatedSite] = field(default_factory=dict)
    scripts: dict[str, JsonObject] = field(default_factory=dict)
    page_size: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _SharePointCall:
    request: Request
    state: SharePoint
    site: SimulatedSite
    is_owner: bool


def seed_sharepoint(tenant: Tenant, description: JsonObject) -> None:
    state = tenant.get_part(SharePoint)
    state.page_size = description.get("pageSize", state.page_size)
    state.scripts |= {one["Id"].lower(): one for one in description.get("siteScripts", ())}
    for one in description.get("sites", ()):
        state.sites[one["url"].lower()] = SimulatedSite(
            readers=one.get("readers", ()),
            owners=one.get("owners", ()),
            lists=one.get("lists", ()),
        )


def build_routes(tenant: Tenant) -> list[Route]:
    """Return the routes of every site. The root site of a host has an empty path."""
    del tenant  # Handlers find it in the request.
    return [
        route
        for site in ("", "/{site:path}")
        for route in (
            _build_route("GET", f"{site}/_api/web/lists", list_lists),
            _build_route(
                "GET", f"{site}/_api/web/lists('{{list}}')/subscriptions", list_subscriptions
            ),
            _build_route("POST", f"{site}/{_SCRIPTS}.GetSiteScripts", list_site_scripts),
            _build_route("POST", f"{site}/{_SCRIPTS}.GetSiteScriptMetadata", get_site_script),
        )
    ]


async def list_lists(call: _SharePointCall) -> Response:
    query = call.request.query_params
    start = int(query.get("$skiptoken") or 0)
    end = start + min(call.state.page_size, int(query.get("$top") or call.state.page_size))
    names = [name for name in query.get("$select", "Id,Title").split(",") if name]
    page: JsonObject = {
        "value": [{name: one[name] for name in names} for one in call.site.lists[start:end]]
    }
    if end < len(call.site.lists):
        following = call.request.url.include_query_params(**{"$skiptoken": end})
        page["odata.nextLink"] = str(following.replace(scheme="https"))
    return JSONResponse(page)


async def list_subscriptions(call: _SharePointCall) -> Response:
    wanted = call.request.path_params["list"].lower()
    found = next((one for one in call.site.lists if one["Id"].lower() == wanted), None)
    if found is None:
        return _build_rejection(
            404, "-2130575322, Microsoft.SharePoint.SPException", "No such list."
        )
    if not call.is_owner:
        return _reject_access()
    return JSONResponse({"value": found.get("subscriptions", [])})


async def list_site_scripts(call: _SharePointCall) -> Response:
    return JSONResponse({"value": [one | {"Content": None} for one in call.state.scripts.values()]})


async def get_site_script(call: _SharePointCall) -> Response:
    found = call.state.scripts.get(str((await call.request.json())["id"]).lower())
    if found is None:
        return _build_rejection(
            404, "-2147024894, System.IO.FileNotFoundException", "File Not Found."
        )
    return JSONResponse(found)


def _build_rejection(status: int, code: str, message: str) -> Response:
    text = {"lang": "en-US", "value": message}
    return JSONResponse({"odata.error": {"code": code, "message": text}}, status)


def _reject_access() -> Response:
    return _build_rejection(
        403, "-2147024891, System.UnauthorizedAccessException", "Access denied."
    )


def _build_route(
    method: str, path: str, handler: Callable[[_SharePointCall], Awaitable[Response]]
) -> Route:
    async def answer_request(request: Request) -> Response:
        host = (request.url.hostname or "").lower()
        caller = require_token(request, f"https://{host}")
        state = request.app.state.tenant.get_part(SharePoint)
        path = request.path_params.get("site", "").lower()
        site = state.sites.get(f"{host}/{path}".rstrip("/"))
        if site is None:
            return Response("404 FILE NOT FOUND", 404, media_type="text/plain")
        is_owner = caller.object_id in site.owners
        if not is_owner and caller.object_id not in site.readers:
            return _reject_access()
        if "json" not in request.headers.get("accept", ""):
            return Response("<feed/>", media_type="application/atom+xml")
        call = _SharePointCall(request=request, state=state, site=site, is_owner=is_owner)
        try:
            return await handler(call)
        except json.JSONDecodeError:
            return _build_rejection(
                400, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", ""
            )

    return Route(path, answer_request, methods=[method], name=handler.__name__)


EXTERNAL = ExternalService(
    service=Service(name="sharepoint", hosts=HOSTS, routes=build_routes, options=OPTIONS),
    section="sharePoint",
    seed=seed_sharepoint,
)
