"""Record each request to the platform: a span, and metrics by service."""

import re
from time import perf_counter
from urllib.parse import unquote, urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from shared.ports import Telemetry

#: Parts of paths that are the same for all tenants. Every other part is hidden: it may be an id, a
#: person's name for something, or a signature.
_ROUTE_WORDS = frozenset(
    {
        "admin",
        "api",
        "apis",
        "apps",
        "appsettings",
        "automations",
        "batch",
        "callback",
        "canvasapps",
        "config",
        "configuration",
        "connections",
        "connectionstrings",
        "content",
        "contents",
        "cu",
        "data",
        "databases",
        "direct",
        "document",
        "enterprisepolicies",
        "environments",
        "eventsubscriptions",
        "flowpermissions",
        "flows",
        "flowswithmigratingtriggerurl",
        "generateresourcename",
        "histories",
        "host",
        "httpactionflows",
        "invoke",
        "keys",
        "kv",
        "lifecycleoperations",
        "list",
        "listcallbackurl",
        "listkeys",
        "locations",
        "locks",
        "migrateflows",
        "modifypermissions",
        "namedvalues",
        "networkrulesets",
        "noncmkmigratedflows",
        "operations",
        "paths",
        "permissions",
        "policies",
        "policyfragments",
        "powerautomate",
        "providers",
        "publish",
        "resourcegroups",
        "resources",
        "restart",
        "restore",
        "resume",
        "roleassignments",
        "rulecollectiongroups",
        "runs",
        "runtime",
        "scopes",
        "secrets",
        "service",
        "services",
        "servicetagdetails",
        "servicetags",
        "siteextensions",
        "sites",
        "slots",
        "solutions",
        "start",
        "stop",
        "subscriptions",
        "suspend",
        "triggeroutputs",
        "triggers",
        "versions",
        "vfs",
        "web",
        "workflow",
        "workflows",
    }
)
_VERSION = re.compile(r"v\d+(\.\d+)?", re.IGNORECASE)
#: `Microsoft.Web`, or an action of Dataverse with its prefix.
_NAMESPACE = re.compile(r"Microsoft(\.[A-Za-z]+)+", re.IGNORECASE)
#: An entity set of Dataverse with a key: `workflows(…)`.
_KEYED = re.compile(r"(?P<name>[A-Za-z]+)\(.*\)")
_HIDDEN = "{}"
_THROTTLED = 429

type _Request = PipelineRequest[HttpRequest]
type _Response = PipelineResponse[HttpRequest, AsyncHttpResponse]


class RequestTracing(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Records each request that is sent, retries included."""

    def __init__(self, service: str, telemetry: Telemetry) -> None:
        super().__init__()
        self._service = service
        self._telemetry = telemetry

    async def send(self, request: _Request) -> _Response:
        method = request.http_request.method
        route, address = _describe_url(request.http_request.url)
        attributes = {"http.request.method": method, "peer.service": self._service, **address}
        started = perf_counter()
        status = "no answer"
        name = f"{method} {route}"
        try:
            with self._telemetry.span(name, is_request=True, attributes=attributes) as span:
                response = await self.next.send(request)
                code = response.http_response.status_code
                status = str(code)
                span.set_attributes({"http.response.status_code": code})
                if code >= 400:
                    span.fail(status)
                return response
        finally:
            labels = {"service": self._service, "status": status}
            self._telemetry.count("cmk.platform.calls", labels)
            self._telemetry.measure(
                "cmk.platform.seconds", perf_counter() - started, {"service": self._service}
            )
            if status == str(_THROTTLED):
                self._telemetry.count("cmk.platform.throttled", {"service": self._service})


def _describe_url(url: str) -> tuple[str, dict[str, str | int]]:
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:  # the transport reports it
        return _HIDDEN, {}
    route, host = build_route(parts.path), parts.hostname or ""
    return route, {
        "server.address": host,
        "url.template": route,
        # The exporter to Application Insights makes name and target from these.
        "server.port": port,
        "url.scheme": parts.scheme,
        "url.full": f"{parts.scheme}://{host}{route}",
    }


def build_route(path: str) -> str:
    """Return a path for the name of a span, with what depends on the tenant hidden."""
    shown, before = list[str](), ""
    is_dataverse = path.startswith("/api/data/")
    for part in path.split("/"):
        # After a namespace comes a resource type, after Dataverse's version a table or an action.
        is_type = _NAMESPACE.fullmatch(before) or (is_dataverse and _VERSION.fullmatch(before))
        shown.append(_mask_path_part(unquote(part), is_public=bool(is_type)))
        before = part
    return "/".join(shown)


def _mask_path_part(part: str, *, is_public: bool) -> str:
    if keyed := _KEYED.fullmatch(part):
        name = _mask_path_part(keyed["name"], is_public=is_public)
        return f"{name}({_HIDDEN})"
    is_word = is_public and part.removeprefix("$").isalpha()
    return part if not part or is_word or _is_public_part(part) else _HIDDEN


def _is_public_part(part: str) -> bool:
    word = part.lower().removeprefix("$")
    return word in _ROUTE_WORDS or bool(_VERSION.fullmatch(word) or _NAMESPACE.fullmatch(part))
