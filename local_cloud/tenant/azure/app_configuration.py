"""Serve `{store}.azconfig.io`: the key-values of an App Configuration store, with ETags and locks.

See platform.md#app-configuration.
"""

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.key_values import SimulatedKeyValue
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token

HOSTS = (".azconfig.io",)
_OF_ONE = (
    "get_key_value",
    "put_key_value",
    "delete_key_value",
    "lock_key_value",
    "unlock_key_value",
)
OPTIONS = {
    "list_key_values": ("key", "label", "after", "$select"),
    **dict.fromkeys(_OF_ONE, ("label",)),
}
_PAGE_SIZE = 100
#: Most characters of key, label, value, content type and tags together.
_LONGEST = 10_000
_SET = "application/vnd.microsoft.appconfig.kvset+json; charset=utf-8"
_ITEM = "application/vnd.microsoft.appconfig.kv+json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoreCall:
    request: Request
    now: datetime
    #: By key and label.
    key_values: dict[tuple[str, str | None], SimulatedKeyValue]

    @property
    def address(self) -> tuple[str, str | None]:
        label = self.request.query_params.get("label")
        return self.request.path_params["key"], None if label in (None, "", "\0") else label


def build_routes(tenant: Tenant) -> list[Route]:
    del tenant  # Handlers find it in the request.
    return [
        _build_route("GET", "/kv", list_key_values),
        _build_route("GET", "/kv/{key:path}", get_key_value),
        _build_route("PUT", "/kv/{key:path}", put_key_value),
        _build_route("DELETE", "/kv/{key:path}", delete_key_value),
        _build_route("PUT", "/locks/{key:path}", lock_key_value),
        _build_route("DELETE", "/locks/{key:path}", unlock_key_value),
    ]


async def list_key_values(call: _StoreCall) -> Response:
    query = call.request.query_params
    found = [
        one
        for _, one in sorted(
            call.key_values.items(), key=lambda item: (item[0][0], item[0][1] or "")
        )
        if _is_match(query.get("key", "*"), one.key)
        and _is_match(query.get("label", "*"), one.label or "\0")
    ]
    start = int(query.get("after") or 0)
    page: JsonObject = {"items": [one.to_json() for one in found[start : start + _PAGE_SIZE]]}
    if start + _PAGE_SIZE < len(found):
        following = dict(query) | {"after": str(start + _PAGE_SIZE)}
        page["@nextLink"] = f"/kv?{urlencode(following)}"
    return JSONResponse(page, media_type=_SET)


async def get_key_value(call: _StoreCall) -> Response:
    found = call.key_values.get(call.address)
    return Response(status_code=404) if found is None else _build_response(found)


async def put_key_value(call: _StoreCall) -> Response:
    before = call.key_values.get(call.address)
    if not _is_precondition_met(call.request, before):
        return Response(status_code=412)
    if before is not None and before.locked:
        return _build_locked_response(before)
    body = json.loads(await call.request.body() or b"{}")
    key, label = call.address
    written = SimulatedKeyValue(
        key=key,
        label=label,
        value=body.get("value") or "",
        content_type=body.get("content_type"),
        tags=body.get("tags") or {},
        locked=False,
        modified_at=call.now,
    )
    if _count_characters(written) > _LONGEST:
        return HTMLResponse("<h1>413 Request Entity Too Large</h1>", 413)
    call.key_values[key, label] = written
    return _build_response(written)


async def delete_key_value(call: _StoreCall) -> Response:
    before = call.key_values.get(call.address)
    if before is None:
        return Response(status_code=204)
    if not _is_precondition_met(call.request, before):
        return Response(status_code=412)
    if before.locked:
        return _build_locked_response(before)
    return _build_response(call.key_values.pop(call.address))


async def lock_key_value(call: _StoreCall) -> Response:
    return _set_lock(call, is_locked=True)


async def unlock_key_value(call: _StoreCall) -> Response:
    return _set_lock(call, is_locked=False)


def _set_lock(call: _StoreCall, *, is_locked: bool) -> Response:
    found = call.key_values.get(call.address)
    if found is None:
        return Response(status_code=404)
    found.locked, found.etag = is_locked, uuid.uuid4().hex
    return _build_response(found)


def _count_characters(found: SimulatedKeyValue) -> int:
    texts = (found.key, found.label or "", found.value, found.content_type or "")
    return sum(map(len, (*texts, *found.tags, *found.tags.values())))


def _is_match(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == text


def _is_precondition_met(request: Request, found: SimulatedKeyValue | None) -> bool:
    wanted = request.headers.get("If-Match")
    if request.headers.get("If-None-Match") == "*" and found is not None:
        return False
    return wanted is None or (found is not None and wanted in ("*", f'"{found.etag}"'))


def _build_response(found: SimulatedKeyValue) -> Response:
    headers = {"ETag": f'"{found.etag}"'}
    return JSONResponse(found.to_json(), headers=headers, media_type=_ITEM)


def _build_locked_response(found: SimulatedKeyValue) -> Response:
    problem = {
        "type": "https://azconfig.io/errors/key-locked",
        "title": f"Modifying key '{found.key}' is not allowed",
        "name": found.key,
        "detail": "The key is read-only. To allow modification unlock it first.",
        "status": 409,
    }
    return JSONResponse(problem, 409, media_type="application/problem+json; charset=utf-8")


def _build_route(
    method: str, path: str, handler: Callable[[_StoreCall], Awaitable[Response]]
) -> AnyCaseRoute:
    async def answer_request(request: Request) -> Response:
        tenant: Tenant = request.app.state.tenant
        host = (request.url.hostname or "").lower()
        require_token(
            request, f"https://{host}", "https://azconfig.io", "https://appconfig.azure.com"
        )
        key_values = tenant.get_part(Azure).configuration_stores.get(host.partition(".")[0])
        if key_values is None:
            return Response(status_code=404)
        call = _StoreCall(request=request, now=tenant.clock.now(), key_values=key_values)
        return await handler(call)

    return AnyCaseRoute(path, answer_request, methods=[method], name=handler.__name__)
