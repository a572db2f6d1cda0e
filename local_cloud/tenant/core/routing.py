"""Find the service of a host. Count, throttle and fail the requests to each route.

A service module has `HOSTS` (exact names, or suffixes that start with a dot) and
`build_routes(tenant) -> list[Route]`. Counts, budgets and faults use the name of a route
(`Route(..., name="get_flow")`, by default the name of the endpoint's function), such as
`flow_service.get_flow`. A query option that a route does not implement is rejected.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.faults import Fault, FaultKind
from local_cloud.tenant.core.paging import TOKEN
from local_cloud.tenant.core.platform_error import (
    InvalidQueryError,
    SimulatedPlatformError,
    render_platform_error,
)
from local_cloud.tenant.core.tenant import Tenant

#: Key of a scope that is an operation of a batch: the request is counted as the batch.
IN_BATCH = "local_tenant.in_batch"
#: Closes the connection that a scope arrived on; the server knows how.
Abort = Callable[[Scope], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that the tenant simulates: its hosts, routes and query options."""

    name: str
    #: Exact host names, or suffixes with a leading dot.
    hosts: tuple[str, ...]
    routes: Callable[[Tenant], list[Route]]
    #: Route name → query options that it implements, beside `api-version` and the skip token;
    #: None: the service takes whatever it is sent.
    options: Mapping[str, tuple[str, ...]] | None
    #: Code of the refusal of any other option, and of one with a value that is not understood.
    query_refused: str = "InvalidQueryParameter"

    def require_known_options(self, route: str, request: Request) -> None:
        if self.options is None:
            return
        known = {"api-version", TOKEN, *map(str.lower, self.options.get(route, ()))}
        for option in request.query_params:
            if option.lower() not in known:
                raise InvalidQueryError(f"The query option '{option}' is not supported.")


class AnyCaseRoute(Route):
    """A route that ignores case and doubled slashes in paths, as Azure does."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        pattern = re.sub(r"(?<!\^)/", "/+", self.path_regex.pattern)
        self.path_regex = re.compile(pattern, re.IGNORECASE)


class HostTable:
    def __init__(
        self,
        tenant: Tenant,
        services: Sequence[Service],
        abort: Abort,
        assumptions: Assumptions,
    ) -> None:
        self._exact: dict[str, ASGIApp] = {}
        self._suffixes: list[tuple[str, ASGIApp]] = []
        for service in services:
            app = _build_application(tenant, service, abort, assumptions)
            for host in service.hosts:
                if host.startswith("."):
                    self._suffixes.append((host, app))
                else:
                    self._exact[host] = app
        self._suffixes.sort(key=lambda entry: len(entry[0]), reverse=True)

    def find(self, host: str) -> ASGIApp | None:
        """Return the application of a host name (without port), or None if no service has it."""
        host = host.lower()
        if app := self._exact.get(host):
            return app
        return next((app for suffix, app in self._suffixes if host.endswith(suffix)), None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the service that its Host header names, or answer 421."""
        host = dict(scope["headers"]).get(b"host", b"").decode().rpartition(":")
        name = host[0] if host[2].isdigit() and host[0] else "".join(host)
        app = self.find(name) or JSONResponse(
            SimulatedPlatformError(
                421, "MisdirectedRequest", f"'{name}' is not served here."
            ).build_body(),
            421,
        )
        await app(scope, receive, send)


def _build_application(
    tenant: Tenant, service: Service, abort: Abort, assumptions: Assumptions
) -> ASGIApp:
    routes = service.routes(tenant)
    for route in routes:
        name = f"{service.name}.{route.name}"
        checked = _WithKnownOptions(service, route.name, route.app)
        route.app = _Instrumented(tenant, name, checked, abort, assumptions)
    app = Starlette(
        routes=routes,
        exception_handlers={
            SimulatedPlatformError: render_platform_error,
            InvalidQueryError: _answer_bad_request,
            404: _answer_unknown_route,
            405: _answer_unknown_method,
            **dict.fromkeys((ValueError, KeyError, TypeError), _answer_unreadable_body),
        },
    )
    app.router.redirect_slashes = False
    app.state.tenant = tenant
    app.state.query_refused = service.query_refused
    return app


async def _answer_unreadable_body(_: Request, error: Exception) -> Response:
    message = f"The request content is invalid: {type(error).__name__}: {error}."
    return JSONResponse(
        SimulatedPlatformError(400, "InvalidRequestContent", message).build_body(), 400
    )


async def _answer_bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidQueryError)
    refusal = SimulatedPlatformError(400, request.app.state.query_refused, error.message)
    return await render_platform_error(request, refusal)


async def _answer_unknown_route(request: Request, _: Exception) -> Response:
    message = f"No route matches {request.method} {request.url.path}."
    return JSONResponse(SimulatedPlatformError(404, "ResourceNotFound", message).build_body(), 404)


async def _answer_unknown_method(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"The requested resource does not support http method '{request.method}'."
    body = SimulatedPlatformError(405, "MethodNotAllowed", message).build_body()
    return JSONResponse(body, 405, headers=error.headers)


class _WithKnownOptions:
    """Rejects requests with query options that a route does not implement."""

    def __init__(self, service: Service, route: str, app: ASGIApp) -> None:
        self._service = service
        self._route = route
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._service.require_known_options(self._route, Request(scope))
        await self._app(scope, receive, send)


class _Instrumented:
    """Counts and throttles the requests to a route, and injects faults into them."""

    def __init__(
        self, tenant: Tenant, name: str, app: ASGIApp, abort: Abort, assumptions: Assumptions
    ) -> None:
        self._tenant = tenant
        self._name = name
        self._app = app
        self._abort = abort
        self._assumptions = assumptions
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if IN_BATCH in scope:
            self._tenant.calls.count_batched(self._name, scope["method"])
        else:
            self._tenant.calls.count(self._name, scope["method"])
        is_list = "list_" in self._name and scope["method"] == "GET"
        seconds = self._assumptions.call_seconds + is_list * self._assumptions.list_seconds
        await asyncio.sleep(seconds)
        fault = self._tenant.faults.take(self._name)
        if fault is not None:
            await self._apply_fault(fault, scope, receive, send)
        else:
            await self._app(scope, receive, _with_request_id(send))

    async def _apply_fault(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        match fault.kind:
            case FaultKind.FAIL:
                raise SimulatedPlatformError(
                    fault.status, fault.code, fault.message, headers=fault.headers
                )
            case FaultKind.DELAY:
                await asyncio.sleep(fault.delay)
                await self._app(scope, receive, _with_request_id(send))
            case FaultKind.DROP_BEFORE:
                await self._drop_request(scope, receive)
            case FaultKind.DROP_AFTER:
                await self._app(scope, receive, _drop_message)
                await self._drop_request(scope, receive)
            case FaultKind.LATE:
                body = await Request(scope, receive).body()
                late = asyncio.create_task(self._handle_later(fault.delay, scope, body))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                raise SimulatedPlatformError(
                    504, "GatewayTimeout", "The gateway did not get an answer."
                )

    async def _handle_later(self, delay: float, scope: Scope, body: bytes) -> None:
        clock = self._tenant.clock
        after = timedelta(seconds=delay or self._assumptions.late_write_seconds)
        await clock.reach(clock.now() + after)

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive, _drop_message)

    async def _drop_request(self, scope: Scope, receive: Receive) -> None:
        self._abort(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


async def _drop_message(message: Message) -> None:
    """Discard a part of a response, so that the client gets none."""


def _with_request_id(send: Send) -> Send:
    async def send_with_request_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            request_id = secrets.token_hex(16).encode()
            message["headers"] = [*message["headers"], (b"x-ms-request-id", request_id)]
        await send(message)

    return send_with_request_id
