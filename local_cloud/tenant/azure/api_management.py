"""Serve the APIs, policies and named values of an API Management service, among other contents.

Each has an ETag in a header. A write names the ETag that it replaces; the PUT of a named value may
omit it. Policies are stored as a person writes them (`rawxml`); the other format escapes their
expressions. Only `listValue` returns the value of a secret.
"""

import hashlib
import html
import json
import re
from xml.etree import ElementTree as ET

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, HOST, ArmCall, ArmHandler, build_arm_route
from local_cloud.tenant.azure.named_values import read_named_value, store_named_value
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

SERVICE = "Microsoft.ApiManagement/service"
_FRAGMENTS = f"{SERVICE}/policyFragments"
_NAMED_VALUES = f"{SERVICE}/namedValues"
_POLICY = ("PUT",)
#: What a list and an item are called in route names → type below a service, methods that write it.
_TYPES = {
    ("api_management_policies", "api_management_policy"): ("policies", _POLICY),
    ("apis", "api"): ("apis", ("PATCH",)),
    ("api_policies", "api_policy"): ("apis/policies", _POLICY),
    ("api_operations", "api_operation"): ("apis/operations", ()),
    ("operation_policies", "operation_policy"): ("apis/operations/policies", _POLICY),
    ("products", "product"): ("products", ()),
    ("product_policies", "product_policy"): ("products/policies", _POLICY),
    ("backends", "backend"): ("backends", ("PUT", "PATCH")),
    ("named_values", "named_value"): ("namedValues", ("PUT", "PATCH")),
    ("policy_fragments", "policy_fragment"): ("policyFragments", _POLICY),
}
#: An expression in a policy, up to the end of its attribute or element.
_EXPRESSION = re.compile(r'@[({].*?[)}](?=\s*(?:"|</))', re.DOTALL)
#: What a GET takes beside the API version; a client that polls a named value adds `asyncCode`.
OPTIONS = {
    **{f"get_{one}": ("format",) for (_, one), (kind, _) in _TYPES.items() if "olic" in kind},
    "get_named_value": ("asyncCode",),
}
_NAMES = ("service", "first", "second", "name")
_LONGEST_BACKEND_URL = 2000


def build_routes() -> list[Route]:
    found: list[Route] = []
    for (plural, singular), (below, methods) in _TYPES.items():
        resource_type, kinds = f"{SERVICE}/{below}", below.split("/")
        parents = "".join(f"/{{{name}}}/{kind}" for name, kind in zip(_NAMES, kinds, strict=False))
        collection = f"{GROUP}/providers/{SERVICE}{parents}"
        found.append(build_arm_route("GET", collection, _list_handler(plural, resource_type)))
        found.append(
            build_arm_route("GET", f"{collection}/{{name}}", _get_handler(singular, below))
        )
        found += [
            build_arm_route(
                method, f"{collection}/{{name}}", _write_handler(singular, below, method)
            )
            for method in methods
        ]
    service = f"{GROUP}/providers/{SERVICE}/{{service}}"
    return [
        *found,
        build_arm_route("POST", f"{service}/namedValues/{{name}}/listValue", list_named_value),
        build_arm_route(
            "POST", f"{service}/policyFragments/{{name}}/listReferences", list_references
        ),
    ]


async def list_named_value(call: ArmCall) -> Response:
    """Serve `listValue`: return the value of a named value, even if it is a secret."""
    document = call.get_existing(_NAMED_VALUES, *_list_path_names(call))
    value = read_named_value(call.azure, document, call.tenant.clock.now())
    return JSONResponse({"value": value}, headers={"ETag": _compute_etag(document)})


async def list_references(call: ArmCall) -> JsonObject:
    """Serve `listReferences`: return the policies and policy fragments that include a fragment."""
    document = call.get_existing(_FRAGMENTS, *_list_path_names(call))
    included = re.compile(rf'fragment-id="{re.escape(document["name"])}"')
    service = document["id"].lower().partition("/policyfragments/")[0]
    users = [
        {key: one[key] for key in ("id", "type", "name")}
        for below, _ in _TYPES.values()
        for one in call.azure.resources.list_of_type(f"{SERVICE}/{below}")
        if one["id"].lower().startswith(f"{service}/")
        and included.search(one["properties"].get("value", ""))
    ]
    return {"value": users, "count": len(users), "nextLink": ""}


def escape_expressions(policy: str) -> str:
    return _EXPRESSION.sub(lambda found: html.escape(found[0], quote=False), policy)


def _list_path_names(call: ArmCall) -> list[str]:
    parameters = call.request.path_params
    return [parameters[key] for key in _NAMES if key in parameters]


def _list_handler(plural: str, resource_type: str) -> ArmHandler:
    async def list_below(call: ArmCall) -> JsonObject:
        parent_type, _, kind = resource_type.rpartition("/")
        parent = call.get_existing(parent_type, *_list_path_names(call))
        start = f"{parent['id']}/{kind}/".lower()
        documents = call.azure.resources.list_within(resource_type, call.scope)
        found = [one for one in documents if one["id"].lower().startswith(start)]
        return call.build_page([_show_resource(one, "xml") for one in found])

    list_below.__name__ = f"list_{plural}"
    return list_below


def _get_handler(singular: str, below: str) -> ArmHandler:
    async def get_below(call: ArmCall) -> Response:
        document = call.get_existing(f"{SERVICE}/{below}", *_list_path_names(call))
        failure = call.azure.failed_writes.get(document["id"].lower())
        if failure and "asyncCode" in call.request.query_params:
            raise SimulatedPlatformError(400, "ValidationError", failure)
        shown = _show_resource(document, call.request.query_params.get("format", "xml"))
        return JSONResponse(shown, headers={"ETag": _compute_etag(document)})

    get_below.__name__ = f"get_{singular}"
    return get_below


def _write_handler(singular: str, below: str, method: str) -> ArmHandler:
    resource_type, is_patch = f"{SERVICE}/{below}", method == "PATCH"

    async def write_below(call: ArmCall) -> Response:
        names = _list_path_names(call)
        call.get_existing(resource_type.rpartition("/")[0], *names[:-1])
        identity = call.build_resource_id(resource_type, *names)
        there = (
            call.get_existing(resource_type, *names)
            if is_patch
            else call.azure.resources.find(resource_type, identity)
        )
        _require_etag(call, there, is_required=is_patch or resource_type != _NAMED_VALUES)
        given = (await call.read_json()).get("properties")
        if not isinstance(given, dict):
            raise SimulatedPlatformError(400, "ValidationError", "'properties' is not an object.")
        kept = there["properties"] if there and is_patch else {}
        document = {
            "id": there["id"] if there else identity,
            "type": resource_type,
            "name": names[-1],
            "properties": _check_properties(below, kept | given),
        }
        if resource_type == _NAMED_VALUES:
            store_named_value(call.azure, document, call.tenant.clock.now())
        else:
            call.azure.resources.put(document)
        headers = {"ETag": _compute_etag(document)}
        is_late = is_patch or "keyVault" in document["properties"]
        if is_late and resource_type == _NAMED_VALUES:  # the client polls the resource itself
            query = f"api-version={call.request.query_params['api-version']}&asyncCode=200"
            headers["Location"] = f"https://{HOST}{identity}?{query}"
            return Response(status_code=202, headers=headers)
        return JSONResponse(_show_resource(document, "xml"), 200 if there else 201, headers=headers)

    write_below.__name__ = f"{'update' if is_patch else 'put'}_{singular}"
    return write_below


def _compute_etag(document: JsonObject) -> str:
    text = json.dumps(document, sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def _require_etag(call: ArmCall, there: JsonObject | None, *, is_required: bool) -> None:
    wanted = call.request.headers.get("If-Match")
    if there is None or (wanted is None and not is_required):
        return
    if wanted is None or wanted not in ("*", _compute_etag(there)):
        raise SimulatedPlatformError(
            412, "PreconditionFailed", "Resource was modified since last retrieval."
        )


def _check_properties(below: str, properties: JsonObject) -> JsonObject:
    """Check the properties of a write, and return them as they are stored."""
    url, value = str(properties.get("url") or ""), str(properties.get("value") or "")
    if below == "backends" and not 0 < len(url) <= _LONGEST_BACKEND_URL:
        raise SimulatedPlatformError(400, "ValidationError", "The length of the URL is invalid.")
    if not below.endswith("olicies") and below != "policyFragments":
        return properties
    is_raw = properties.get("format", "xml") == "rawxml"
    raw = value if is_raw else _EXPRESSION.sub(lambda found: html.unescape(found[0]), value)
    try:
        ET.fromstring(escape_expressions(raw))  # noqa: S314 -- expat bounds entities
    except ET.ParseError as error:
        raise SimulatedPlatformError(
            400, "ValidationError", f"The policy is no XML: {error}."
        ) from error
    return {key: one for key, one in properties.items() if key != "format"} | {"value": raw}


def _show_resource(document: JsonObject, wanted: str) -> JsonObject:
    properties = document.get("properties", {})
    if document["type"].lower().endswith(("/policies", "/policyfragments")):
        value = properties.get("value", "")
        shown = value if wanted == "rawxml" else escape_expressions(value)
        return document | {"properties": properties | {"format": wanted, "value": shown}}
    if properties.get("secret"):
        shown = {key: one for key, one in properties.items() if key != "value"}
        return document | {"properties": shown}
    return document
