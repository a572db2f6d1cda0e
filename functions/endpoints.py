"""Declare the endpoints of the API: parameters, responses and required role of each route.

The Functions host knows no roles, so this module checks them. No endpoint can be declared without a
role.
"""

import inspect
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import azure.functions as func
from pydantic import ValidationError

from functions.forms import adapt_response_to_browser, is_form, parse_form
from functions.http_headers import ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, matches_etag
from functions.http_requests import (
    NoBody,
    RequestModel,
    parse_body,
    parse_query,
    parse_route_parameters,
)
from functions.http_responses import ApiResponse, build_json_response, compute_etag
from functions.principals import (
    ANONYMOUS,
    find_requester_member,
    find_signed_in_principal,
    format_request_source,
    identify_principal,
    require_own_origin,
    require_role,
    with_given_name,
)
from functions.problems import (
    BadRequest,
    FieldError,
    Forbidden,
    NotSignedIn,
    build_internal_error_response,
    build_misconfigured_response,
    build_problem_response,
)
from functions.routes import ROUTES, UNKNOWN_PAGE, Method, Route
from functions.sign_in import build_expired_form_page, is_page_load, redirect_to_sign_in
from shared.bootstrap import services
from shared.domain.audit import AuditEntry
from shared.domain.principal import Principal, Role
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, PreconditionFailed, UnusableSetting
from shared.logs.fields import get_product_log, log_with
from shared.queues import TRACEPARENT
from shared.services import Services
from shared.settings import SignInSettings, describe_invalid_settings
from shared.use_cases.audit_log import (
    PendingAuditEntry,
    Subject,
    record_rejection,
    record_request,
    record_result,
)

log = get_product_log(__name__)

JSON = "application/json"
HTML = "text/html"
_FORBIDDEN = 403
#: In place of a role, of an endpoint that needs no sign-in.
ANYONE: Final = "anyone"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest[Q: RequestModel, B: RequestModel]:
    """A validated request, from a principal who has the required role."""

    principal: Principal
    #: Values of the route parameters; each is an id.
    params: Mapping[str, str]
    query: Q
    body: B
    #: The request headers that the endpoint declares, if they were sent.
    headers: Mapping[str, str]
    #: The media type of the response, one of the endpoint's media types.
    media_type: str
    #: True if a form of the dashboard sent it.
    is_form: bool = False

    @property
    def id(self) -> str:
        """Return the route parameter `id`."""
        return self.params["id"]

    @property
    def requester_name(self) -> str:
        """Return the name of the requester. Raises `BadRequest` if the request has none."""
        if not self.principal.name:
            member = find_requester_member(type(self.body))
            problem = FieldError(field=member, message="Give your name: you are not signed in.")
            raise BadRequest("The request has no name.", [problem])
        return self.principal.name

    def require_seen_version(self, answer: ApiResponse) -> None:
        """Raise `PreconditionFailed` if `answer` is not the version that `If-Match` requires.

        A request without `If-Match` accepts every version.
        """
        wanted = self.headers.get(IF_MATCH)
        if wanted is not None and not matches_etag(wanted, compute_etag(answer)):
            raise PreconditionFailed


type Handler[Q: RequestModel, B: RequestModel] = Callable[
    [ApiRequest[Q, B]], Awaitable[ApiResponse | func.HttpResponse]
]
type Answering = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The declaration of one endpoint, from which the OpenAPI document is built."""

    name: str
    #: Docstring of the handler.
    description: str
    method: Method
    #: Relative to `/api/`, with parameters such as `{id}`.
    path: str
    #: None if the endpoint needs no sign-in.
    role: Role | None
    query: type[RequestModel]
    body: type[RequestModel]
    #: None if no media type is JSON.
    answer: type[ApiResponse] | None
    #: Status of a successful response.
    status: int
    #: The first one is the default.
    media_types: tuple[str, ...]
    #: Request headers that the endpoint reads, and response headers that it sends.
    headers: tuple[str, ...]
    answer_headers: tuple[str, ...]
    #: Reads the state that a request changes, for the audit log; None if none is stored.
    subject: Subject | None
    #: The audit log records its requests.
    is_recorded: bool

    @property
    def has_etag(self) -> bool:
        """Return whether the response has an ETag: JSON responses of GET and PUT do."""
        return self.answer is not None and self.method in ("GET", "PUT")


#: Endpoints and request functions declared by the modules imported so far.
_DECLARED: dict[Route, Endpoint] = {}
_ANSWERING: dict[Route, Answering] = {}


def endpoint[Q: RequestModel, B: RequestModel](
    *,
    role: Role | Literal["anyone"],
    answer: type[ApiResponse] | None = None,
    status: int = 200,
    media_types: tuple[str, ...] = (JSON,),
    headers: tuple[str, ...] = (),
    answer_headers: tuple[str, ...] = (),
    subject: Subject | None = None,
    is_recorded: bool = True,
) -> Callable[[Handler[Q, B]], Answering]:
    """Return a decorator that declares the handler of a route.

    The handler's annotations name the models of the query, the body and the response. `answer`
    names the model of a response that the handler builds itself. A request other than GET is
    recorded in the audit log, with the state of its `subject` before and after; `is_recorded` is
    False for one that changes nothing. Raises `ValueError` for a handler without a route.
    """

    def register_handler(handler: Handler[Q, B]) -> Answering:
        route = _get_route(handler)
        query, body, result = _get_handler_models(handler)
        declared = Endpoint(
            name=route.name,
            description=inspect.getdoc(handler) or "",
            method=route.method,
            path=route.path,
            role=None if role == ANYONE else Role(role),
            query=query,
            body=body,
            answer=answer or result,
            status=status,
            media_types=media_types,
            headers=headers,
            answer_headers=answer_headers,
            subject=subject,
            is_recorded=is_recorded and route.method != "GET",
        )

        async def answer_and_adapt_to_browser(req: func.HttpRequest) -> func.HttpResponse:
            answer = await _handle_request(declared, handler, req)
            is_sent = route.method != "GET" and is_form(req)
            is_page = media_types[0] == HTML
            return adapt_response_to_browser(
                route.path, req, answer, is_page=is_page, is_sent=is_sent
            )

        _DECLARED[route], _ANSWERING[route] = declared, answer_and_adapt_to_browser
        return answer_and_adapt_to_browser

    return register_handler


def _get_handler_models(
    handler: Handler[Any, Any],
) -> tuple[type[RequestModel], type[RequestModel], type[ApiResponse] | None]:
    request, result = get_type_hints(handler).values()
    query, body = get_args(request)
    is_model = isinstance(result, type) and issubclass(result, ApiResponse)
    return query, body, result if is_model else None


def _get_route(handler: Handler[Any, Any]) -> Route:
    module, name = handler.__module__.rpartition(".")[2], handler.__name__
    for route in (*ROUTES.values(), UNKNOWN_PAGE):
        if (route.module, route.name) == (module, name):
            return route
    message = f"functions/routes.py has no route for {name} of {module}."
    raise ValueError(message)


def load_endpoint(route: Route) -> Endpoint:
    """Return the endpoint of a route. Imports the module of its handler if necessary."""
    if route not in _DECLARED:
        import_module(f"functions.{route.module}")
    return _DECLARED[route]


def list_endpoints() -> dict[tuple[Method, str], Endpoint]:
    """Return all endpoints by method and path. Imports every handler."""
    return {key: load_endpoint(route) for key, route in ROUTES.items()}


async def answer_request(route: Route, req: func.HttpRequest) -> func.HttpResponse:
    """Answer an HTTP request for a route with the route's handler."""
    try:
        load_endpoint(route)
    except Exception:  # a handler that cannot be imported fails only its own routes
        instance = urlsplit(req.url).path
        log.exception("internal error", extra={"method": req.method, "path": instance})
        return build_internal_error_response(instance=instance)
    return await _ANSWERING[route](req)


async def _handle_request(
    declared: Endpoint, handler: Callable[[Any], Awaitable[Any]], req: func.HttpRequest
) -> func.HttpResponse:
    # Without the query string, which may contain the function key.
    instance = urlsplit(req.url).path
    audit_entry: PendingAuditEntry | None = None
    try:
        open_services = services()
    except Exception as err:
        log.exception("internal error", extra={"method": req.method, "path": instance})
        return _build_start_error_response(err, req, instance)
    try:
        reason = ""
        try:
            call = await _authorize_and_parse_request(declared, req, instance)
            if declared.is_recorded:
                audit_entry = await _record_audit_entry(declared, call, req, instance)
            answer = await _run_handler(open_services, declared, call, handler, req)
            is_made = isinstance(answer, func.HttpResponse)
            response = answer if is_made else _build_response_with_etag(declared, req, answer)
        except CmkflowError as err:
            response = _build_sign_in_response(declared, req, err) or build_problem_response(
                err, instance=instance, now=open_services.now
            )
            reason = str(err)
            extra = {"method": req.method, "path": instance, "status": response.status_code}
            log.info("request rejected", extra=extra | {"text": err})
    except Exception:
        log.exception("internal error", extra={"method": req.method, "path": instance})
        response, reason = build_internal_error_response(instance=instance), "internal error"
    if audit_entry:
        made = response.headers.get(LOCATION, "").rpartition("/")[2]
        status = response.status_code
        await record_result(services(), audit_entry, status=status, reason=reason, made=made)
    return response


async def _run_handler(
    open_services: Services,
    declared: Endpoint,
    call: ApiRequest[RequestModel, RequestModel],
    handler: Callable[[Any], Awaitable[Any]],
    req: func.HttpRequest,
) -> Any:
    if not declared.is_recorded:
        return await handler(call)
    name = f"{declared.method} /api/{declared.path}"
    parent = req.headers.get(TRACEPARENT, "")
    with (
        open_services.telemetry.span(name, parent=parent) as span,
        log_with(trace=span.trace_id),
    ):
        return await handler(call)


def _build_start_error_response(
    err: Exception, req: func.HttpRequest, instance: str
) -> func.HttpResponse:
    """Return the error that the app could not start. The error names wrong settings only to a
    reader whom App Service has signed in.
    """
    try:
        principal = find_signed_in_principal(req, SignInSettings())
    except NotSignedIn:
        principal = None
    if principal and principal.has_role(Role.READER):
        if isinstance(err, ValidationError):
            text = " ".join(
                f"{name}: {fault}" for name, fault in describe_invalid_settings(err).items()
            )
            return build_misconfigured_response(text, instance=instance)
        if isinstance(err, UnusableSetting):
            return build_misconfigured_response(err.reason, err.fix, instance=instance)
    return build_internal_error_response(instance=instance)


def _build_sign_in_response(
    declared: Endpoint, req: func.HttpRequest, err: CmkflowError
) -> func.HttpResponse | None:
    if not isinstance(err, NotSignedIn) or not err.can_sign_in:
        return None
    if declared.method == "GET":
        return redirect_to_sign_in(req) if is_page_load(req) else None
    is_wanted = is_form(req) and HTML in req.headers.get("Accept", "")
    return build_expired_form_page(req, declared.path, declared.body, err) if is_wanted else None


async def _authorize_and_parse_request(
    declared: Endpoint, req: func.HttpRequest, target: str
) -> ApiRequest[RequestModel, RequestModel]:
    """Return the validated request. `Forbidden` is recorded only for a known principal, so that
    unknown requesters cannot fill the audit log.
    """
    if declared.role is None:
        return _parse_request(declared, req, ANONYMOUS)
    principal = await identify_principal(req, services().settings, services().function_keys)
    try:
        require_own_origin(req)
        require_role(principal, declared.role)
        return _parse_request(declared, req, principal)
    except Forbidden as err:
        if principal.id:
            entry = _build_audit_entry(declared, principal, req, target)
            await record_rejection(services(), replace(entry, status=_FORBIDDEN, message=str(err)))
        raise


async def _record_audit_entry(
    declared: Endpoint,
    call: ApiRequest[RequestModel, RequestModel],
    req: func.HttpRequest,
    target: str,
) -> PendingAuditEntry:
    entry = _build_audit_entry(declared, call.principal, req, target)
    asked = redact(call.body.model_dump_json(exclude_unset=True))
    about = call.params.get("id", "")
    return await record_request(
        services(), replace(entry, request_body=asked), declared.subject, about
    )


def _build_audit_entry(
    declared: Endpoint, principal: Principal, req: func.HttpRequest, target: str
) -> AuditEntry:
    return AuditEntry(
        id=str(uuid.uuid4()),
        recorded_at=services().now,
        who=principal.name,
        who_id=principal.id,
        kind=principal.kind,
        client=format_request_source(req),
        operation=declared.name,
        target=redact(target),
        request_body="",
    )


def _build_response_with_etag(
    declared: Endpoint, req: func.HttpRequest, answer: ApiResponse
) -> func.HttpResponse:
    if not declared.has_etag:
        return build_json_response(answer, status=declared.status)
    etag = compute_etag(answer)
    headers = {ETAG: etag}
    if declared.method == "GET" and matches_etag(
        req.headers.get(IF_NONE_MATCH, ""), etag, weakly=True
    ):
        return func.HttpResponse(status_code=304, headers=headers)
    return build_json_response(answer, status=declared.status, headers=headers)


def _parse_request(
    declared: Endpoint, req: func.HttpRequest, principal: Principal
) -> ApiRequest[RequestModel, RequestModel]:
    params = parse_route_parameters(req, re.findall(r"\{(\w+)", declared.path))
    query = parse_query(req, declared.query)
    read = parse_form if is_form(req) else parse_body
    body = read(req, declared.body) if declared.method != "GET" else NoBody()
    accepted = req.headers.get("Accept", "")
    wanted = [one for one in declared.media_types if one in accepted]
    return ApiRequest(
        principal=with_given_name(principal, body),
        params=params,
        query=query,
        body=body,
        headers={name: req.headers[name] for name in declared.headers if name in req.headers},
        media_type=(wanted or declared.media_types)[0],
        is_form=is_form(req),
    )
