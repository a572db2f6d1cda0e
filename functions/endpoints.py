"""Declares what each route takes and answers, and who may call it.

A handler is given a `ApiRequest` that was read and checked, and returns an `ApiResponse`; it sees
no header. To the host every route is open, because it knows no roles: who calls is decided here,
and a handler without a role cannot be declared. Which handler answers which route is in
`functions/routes.py`.
"""

import inspect
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func

from functions.forms import for_browser, is_form, read_form
from functions.http_headers import ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, fits
from functions.http_requests import (
    NoBody,
    NoQuery,
    RequestModel,
    read_body,
    read_params,
    read_query,
)
from functions.http_responses import ApiResponse, etag_of, ok
from functions.principals import check_origin, check_role, named, principal_of, source_of
from functions.problems import (
    BadRequest,
    FieldError,
    Forbidden,
    NotSignedIn,
    defect,
    problem_of,
)
from functions.routes import ROUTES, Method, Route
from functions.sign_in import expired_form, is_page_load, redirect_to_sign_in
from shared.bootstrap import services
from shared.domain.audit import AuditEntry
from shared.domain.principal import Principal, Role
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, PreconditionFailed
from shared.log_fields import product_log
from shared.use_cases.audit_log import (
    PendingAuditEntry,
    Subject,
    note_order,
    note_outcome,
    note_refusal,
)

log = product_log(__name__)

JSON = "application/json"
HTML = "text/html"
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest[Q: RequestModel, B: RequestModel]:
    """One request, read and checked."""

    principal: Principal
    #: Values of the route's parameters; each is an id.
    params: Mapping[str, str]
    query: Q
    body: B
    #: Those headers that the route names, as far as they were sent.
    headers: Mapping[str, str]
    #: Which of the route's media types the answer is to have.
    media_type: str

    @property
    def id(self) -> str:
        """Return the id in the route."""
        return self.params["id"]

    @property
    def by(self) -> str:
        """Return the name of who decides; raises `BadRequest` where nobody is named."""
        if not self.principal.name:
            problem = FieldError(field="by", message="Say who decides: nobody is signed in.")
            raise BadRequest("Nobody is named.", [problem])
        return self.principal.name

    def check_seen(self, answer: ApiResponse) -> None:
        """Raise `PreconditionFailed` if the request is about another state than this answer's."""
        wanted = self.headers.get(IF_MATCH)
        if wanted is not None and not fits(wanted, etag_of(answer)):
            raise PreconditionFailed


type Handler[Q: RequestModel, B: RequestModel] = Callable[
    [ApiRequest[Q, B]], Awaitable[ApiResponse | func.HttpResponse]
]
type Answering = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One route as it is declared: what an OpenAPI document says of it."""

    name: str
    #: Docstring of the handler.
    description: str
    method: Method
    #: Below `/api/`, with `{id}` and the like.
    path: str
    role: Role
    query: type[RequestModel]
    body: type[RequestModel]
    #: None: none of its media types is JSON.
    answer: type[ApiResponse] | None
    #: Of an answer that is not a problem.
    status: int
    #: The first is that of whoever accepts anything.
    media_types: tuple[str, ...]
    #: Headers of a request that mean something to it, and those of its answer.
    headers: tuple[str, ...]
    answer_headers: tuple[str, ...]
    #: What an order changes, for the audit trail; None: nothing that is kept.
    subject: Subject | None

    @property
    def has_etag(self) -> bool:
        """Say whether its answer is what stands at its address."""
        return self.answer is not None and self.method in ("GET", "PUT")


#: What the modules that are imported have declared so far, and what answers there.
_DECLARED: dict[Route, Endpoint] = {}
_ANSWERING: dict[Route, Answering] = {}


def endpoint[Q: RequestModel = NoQuery, B: RequestModel = NoBody](
    *,
    role: Role,
    answer: type[ApiResponse] | None,
    query: type[Q] = NoQuery,  # type: ignore[assignment]  # it is Q where Q is not told
    body: type[B] = NoBody,  # type: ignore[assignment]  # the same
    status: int = 200,
    media_types: tuple[str, ...] = (JSON,),
    headers: tuple[str, ...] = (),
    answer_headers: tuple[str, ...] = (),
    subject: Subject | None = None,
) -> Callable[[Handler[Q, B]], Answering]:
    """Declare the handler of a route.

    What it returns is answered with `status`, what it raises as a problem document; what is no GET
    stands in the audit trail, with what became of its `subject`. Raises `ValueError` for a handler
    without a role, and for one that no route names.
    """

    def declare(handler: Handler[Q, B]) -> Answering:
        route = _route_of(handler)
        declared = Endpoint(
            name=route.name,
            description=inspect.getdoc(handler) or "",
            method=route.method,
            path=route.path,
            role=Role(role),
            query=query,
            body=body,
            answer=answer,
            status=status,
            media_types=media_types,
            headers=headers,
            answer_headers=answer_headers,
            subject=subject,
        )

        async def answering(req: func.HttpRequest) -> func.HttpResponse:
            answer = await _answering(declared, handler, req)
            is_sent = route.method != "GET" and is_form(req)
            is_page = media_types[0] == HTML
            return for_browser(route.path, req, answer, is_page=is_page, is_sent=is_sent)

        _DECLARED[route], _ANSWERING[route] = declared, answering
        return answering

    return declare


def _route_of(handler: Handler[Any, Any]) -> Route:
    module, name = handler.__module__.rpartition(".")[2], handler.__name__
    for route in ROUTES.values():
        if (route.module, route.name) == (module, name):
            return route
    message = f"functions/routes.py has no route for {name} of {module}."
    raise ValueError(message)


def endpoint_of(route: Route) -> Endpoint:
    """Return what a route declares; imports the module of its handler."""
    if route not in _DECLARED:
        import_module(f"functions.{route.module}")
    return _DECLARED[route]


def all_endpoints() -> dict[tuple[Method, str], Endpoint]:
    """Return every route, by method and path; imports every handler."""
    return {key: endpoint_of(route) for key, route in ROUTES.items()}


async def answer_request(route: Route, req: func.HttpRequest) -> func.HttpResponse:
    """Return the answer to a request for a route."""
    try:
        endpoint_of(route)
    except Exception:  # a handler that cannot be imported fails its own routes only
        instance = urlsplit(req.url).path
        log.exception("defect while answering %s %s", req.method, instance)
        return defect(instance=instance)
    return await _ANSWERING[route](req)


async def _answering(
    declared: Endpoint, handler: Callable[[Any], Awaitable[Any]], req: func.HttpRequest
) -> func.HttpResponse:
    # Without the query: it may carry the function key.
    instance = urlsplit(req.url).path
    order: PendingAuditEntry | None = None
    try:
        open_services = services()
        reason = ""
        try:
            call = await _admitted(declared, req, instance)
            if declared.method != "GET":
                order = await _noted(declared, call, req, instance)
            answer = await handler(call)
            is_made = isinstance(answer, func.HttpResponse)
            response = answer if is_made else _answered(declared, req, answer)
        except CmkflowError as err:
            response = _unknown_browser(declared, req, err) or problem_of(
                err, instance=instance, now=open_services.now
            )
            reason = str(err)
            extra = {"status": response.status_code}
            log.info("%s %s: %s", req.method, instance, err, extra=extra)
    except Exception:
        log.exception("defect while answering %s %s", req.method, instance)
        response, reason = defect(instance=instance), "a defect"
    if order:
        made = response.headers.get(LOCATION, "").rpartition("/")[2]
        status = response.status_code
        await note_outcome(services(), order, status=status, reason=reason, made=made)
    return response


def _unknown_browser(
    declared: Endpoint, req: func.HttpRequest, err: CmkflowError
) -> func.HttpResponse | None:
    """Return the answer to a browser that has to sign in first; None: to be answered as others."""
    if not isinstance(err, NotSignedIn) or not err.can_sign_in:
        return None
    if declared.method == "GET":
        return redirect_to_sign_in(req) if is_page_load(req) else None
    is_wanted = is_form(req) and HTML in req.headers.get("Accept", "")
    return expired_form(req, declared.path, declared.body, err) if is_wanted else None


async def _admitted(
    declared: Endpoint, req: func.HttpRequest, target: str
) -> ApiRequest[RequestModel, RequestModel]:
    """Return the request, read once it is known that who calls may do this.

    Raises `NotSignedIn`, `BadRequest`, and `Forbidden`, which stands in the audit trail where it is
    known of whom: nobody else may write there.
    """
    principal = await principal_of(req, services().settings, services().function_keys)
    try:
        check_origin(req)
        check_role(principal, declared.role)
        return _read(declared, req, principal)
    except Forbidden as err:
        if principal.id:
            entry = _entry(declared, principal, req, target)
            await note_refusal(services(), replace(entry, status=_FORBIDDEN, reason=str(err)))
        raise


async def _noted(
    declared: Endpoint,
    call: ApiRequest[RequestModel, RequestModel],
    req: func.HttpRequest,
    target: str,
) -> PendingAuditEntry:
    """Write down who orders what, before anything of it is done."""
    entry = _entry(declared, call.principal, req, target)
    asked = redact(call.body.model_dump_json(exclude_unset=True))
    about = call.params.get("id", "")
    return await note_order(services(), replace(entry, asked=asked), declared.subject, about)


def _entry(
    declared: Endpoint, principal: Principal, req: func.HttpRequest, target: str
) -> AuditEntry:
    return AuditEntry(
        id=str(uuid.uuid4()),
        at=services().now,
        who=principal.name,
        who_id=principal.id,
        kind=principal.kind,
        source=source_of(req),
        action=declared.name,
        target=redact(target),
        asked="",
    )


def _answered(declared: Endpoint, req: func.HttpRequest, answer: ApiResponse) -> func.HttpResponse:
    if not declared.has_etag:
        return ok(answer, status=declared.status)
    etag = etag_of(answer)
    headers = {ETAG: etag}
    if declared.method == "GET" and fits(req.headers.get(IF_NONE_MATCH, ""), etag, weakly=True):
        return func.HttpResponse(status_code=304, headers=headers)
    return ok(answer, status=declared.status, headers=headers)


def _read(
    declared: Endpoint, req: func.HttpRequest, principal: Principal
) -> ApiRequest[RequestModel, RequestModel]:
    """Return the request as the route declares it.

    Raises `BadRequest`, and `Forbidden` for a form that is of no page of this app.
    """
    params = read_params(req, re.findall(r"\{(\w+)", declared.path))
    query = read_query(req, declared.query)
    read = read_form if is_form(req) else read_body
    body = read(req, declared.body) if declared.method != "GET" else NoBody()
    accepted = req.headers.get("Accept", "")
    wanted = [one for one in declared.media_types if one in accepted]
    return ApiRequest(
        principal=named(principal, body),
        params=params,
        query=query,
        body=body,
        headers={name: req.headers[name] for name in declared.headers if name in req.headers},
        media_type=(wanted or declared.media_types)[0],
    )
