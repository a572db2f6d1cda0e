"""Serve HTTP requests: find the function, check its key, and convert request and response."""

import asyncio
import hmac
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from local_cloud.functions_host.app_functions import (
    AuthLevel,
    Function,
    HttpTrigger,
    QueueTrigger,
    TimerTrigger,
)
from local_cloud.functions_host.authentication import Authentication
from local_cloud.functions_host.host_settings import HostStartError
from local_cloud.functions_host.routes import Route, parse_route
from local_cloud.functions_host.rpc_messages import rpc
from local_cloud.functions_host.timer_runner import build_timer_invocation
from local_cloud.functions_host.worker import Invocation, InvocationOutcome, Worker

_LOGGER = logging.getLogger("host.http")
#: The real host's default limit is 100 MB.
_MAX_BODY = 100 * 1024 * 1024
_ADMIN = "/admin/functions/"
#: Seconds after which Azure's load balancer answers a request, whatever `functionTimeout` is.
_LONGEST_REQUEST = 230.0
#: Headers that belong to the connection: the server sets them itself.
_CONNECTION_HEADERS = frozenset({"content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    route: Route
    function: Function
    trigger: HttpTrigger


class HttpFront:
    """Passes each HTTP request to the function of its route. An administrator can run a timer."""

    def __init__(self, functions: Iterable[Function], worker: Worker, prefix: str) -> None:
        """Parse and order the routes of the functions.

        Raises `HostStartError` for an invalid route.
        """
        self._worker = worker
        self._running = set[asyncio.Task[InvocationOutcome]]()
        self._timers: dict[str, Function] = {}
        endpoints: list[_Endpoint] = []
        for function in functions:
            match function.trigger:
                case HttpTrigger() as trigger:
                    endpoints.append(_parse_endpoint(function, trigger, prefix))
                case TimerTrigger():
                    self._timers[function.name.lower()] = function
                case QueueTrigger():
                    pass
        self._endpoints = sorted(endpoints, key=lambda endpoint: endpoint.route.rank)

    def build_application(
        self, function_key: str, authentication: Authentication | None = None
    ) -> web.Application:
        """Return the web application. Functions that are not anonymous require the key.

        With `authentication`, the sender is identified before a request reaches a function.
        """

        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._answer_request(request, function_key)

        middlewares = [authentication.authenticate_request] if authentication else []
        application = web.Application(client_max_size=_MAX_BODY, middlewares=middlewares)
        application.router.add_route("*", r"/{path:[\s\S]*}", answer)
        return application

    async def _answer_request(self, request: web.Request, function_key: str) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path.lower().startswith(_ADMIN):
            return await self._run_timer(request, path[len(_ADMIN) :], function_key)
        for endpoint in self._endpoints:
            methods = endpoint.trigger.methods
            values = endpoint.route.match(path.strip("/"))
            # A method that a route does not list is 404 in Azure, not 405: the method is a
            # constraint of the route there.
            if values is None or (methods and request.method not in methods):
                continue
            if endpoint.trigger.auth_level is not AuthLevel.ANONYMOUS and not _has_key(
                request, function_key
            ):
                return web.Response(status=401)
            invocation = Invocation(
                function=endpoint.function,
                data=await _build_request_data(request, values),
                caused_by=request.headers.get("traceparent"),
            )
            return await self._invoke_in_time(invocation)
        return web.Response(status=404)

    async def _invoke_in_time(self, invocation: Invocation) -> web.StreamResponse:
        """Return the function's response, or 504 after the limit; the function then continues."""
        running = asyncio.create_task(self._worker.invoke(invocation))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(_LONGEST_REQUEST):
                outcome = await asyncio.shield(running)
        except TimeoutError:
            _LOGGER.error("no response in time", extra={"function": invocation.function.name})
            return web.Response(status=504)
        return _build_response(outcome.value) if outcome.succeeded else web.Response(status=500)

    async def _run_timer(
        self, request: web.Request, name: str, function_key: str
    ) -> web.StreamResponse:
        """Run a timer function now, for `POST /admin/functions/{name}`."""
        if not _has_key(request, function_key):
            return web.Response(status=401)
        function = self._timers.get(name.lower())
        if function is None or request.method != "POST":
            return web.Response(status=404)
        # The real host answers 202 before the function ends; waiting makes a failure visible.
        outcome = await self._worker.invoke(build_timer_invocation(function, None))
        return web.Response(status=202 if outcome.succeeded else 500)


def _parse_endpoint(function: Function, trigger: HttpTrigger, prefix: str) -> _Endpoint:
    try:
        route = parse_route(f"{prefix}/{trigger.route}")
    except ValueError as err:
        raise HostStartError(f"function {function.name}: {err}") from err
    return _Endpoint(route=route, function=function, trigger=trigger)


def _has_key(request: web.Request, function_key: str) -> bool:
    given = request.headers.get("x-functions-key") or request.query.get("code") or ""
    return hmac.compare_digest(given.encode(), function_key.encode())


async def _build_request_data(request: web.Request, values: dict[str, str]) -> Any:
    """Return the RpcHttp of a request, as the Azure Functions host builds it."""
    body = await request.read()
    # Repeated names are joined by a comma, and queries without a value are dropped.
    query = {name: ",".join(request.query.getall(name)) for name in request.query}
    return rpc.TypedData(
        http=rpc.RpcHttp(
            method=request.method,
            url=str(request.url),
            headers={
                name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers
            },
            query={name: value for name, value in query.items() if value},
            params=values,
            body=rpc.TypedData(bytes=body) if body else None,
        )
    )


def _build_response(value: Any) -> web.Response:
    kind = value.WhichOneof("data") if value is not None else None
    if kind != "http":
        body = _get_typed_body(value) if value is not None else b""
        return web.Response(body=body, content_type="text/plain", charset="utf-8")
    http = value.http
    headers: CIMultiDict[str] = CIMultiDict()
    for name, text in http.headers.items():
        if not text.isascii() or not text.isprintable():  # as in Kestrel
            _LOGGER.error(
                "invalid non-ASCII or control character in header", extra={"header": name}
            )
            return web.Response(status=500)
        if name.lower() not in _CONNECTION_HEADERS:
            headers[name] = text
    for cookie in http.cookies:
        headers.add("Set-Cookie", _format_cookie(cookie))
    return web.Response(
        status=int(http.status_code), headers=headers, body=_get_typed_body(http.body)
    )


def _get_typed_body(value: Any) -> bytes:
    match value.WhichOneof("data"):
        case None:
            return b""
        case "bytes":
            return bytes(value.bytes)
        case "string":
            return str(value.string).encode()
        case "json":
            return str(value.json).encode()
        case other:
            return json.dumps(getattr(value, other)).encode()


def _format_cookie(cookie: Any) -> str:
    jar = SimpleCookie({cookie.name: cookie.value})
    morsel = jar[cookie.name]
    for name in ("domain", "path"):
        if cookie.HasField(name):
            morsel[name] = getattr(cookie, name).value
    if cookie.HasField("expires"):
        morsel["expires"] = cookie.expires.value.ToDatetime().strftime("%a, %d %b %Y %H:%M:%S GMT")
    if cookie.HasField("max_age"):
        morsel["max-age"] = int(cookie.max_age.value)
    morsel["secure"] = cookie.secure.value
    morsel["httponly"] = cookie.http_only.value
    same_site = {1: "Lax", 2: "Strict", 3: "None"}.get(cookie.same_site)
    if same_site:
        morsel["samesite"] = same_site
    return morsel.OutputString()
