"""Check what all requests to Resource Manager have in common: token, api-version, scope, paging.

A handler gets an ArmCall and returns a document or a Response; `build_arm_route` does the rest.
"""

import json
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.azure.locks import require_unlocked
from local_cloud.tenant.azure.policy_assignments import require_allowed
from local_cloud.tenant.azure.resources import JsonObject, ResourceScope, build_resource_id
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import SimulatedCaller, require_token
from local_cloud.tenant.entra.directory import Directory

HOST = "management.azure.com"
#: Resource Manager takes tokens for either of its names.
AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{{group}}"

#: Names in a path of the resources that others lie below.
_PARENTS = ("parent", "child")
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCall:
    """A request to Resource Manager that has passed the checks of token, version and scope."""

    request: Request
    tenant: Tenant
    caller: SimulatedCaller

    @property
    def azure(self) -> Azure:
        return self.tenant.get_part(Azure)

    @property
    def tenant_id(self) -> str:
        return self.tenant.get_part(Directory).tenant_id

    @property
    def scope(self) -> ResourceScope:
        parameters = self.request.path_params
        return ResourceScope(subscription=parameters["subscription"], group=parameters.get("group"))

    def get_path_part(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value

    def list_path_names(self) -> list[str]:
        """Return the names in a path of `build_collection_path`, the outermost resource first."""
        parameters = self.request.path_params
        return [parameters[key] for key in (*_PARENTS, "name") if key in parameters]

    def build_resource_id(self, resource_type: str, *names: str) -> str:
        """Return the id of the resource with this type and these names, in the path's scope."""
        return build_resource_id(self.scope, resource_type, *names)

    def get_existing(self, resource_type: str, *names: str) -> JsonObject:
        """Return the resource with this type and these names. Rejects (404) a missing one."""
        wanted = self.build_resource_id(resource_type, *names)
        document = self.azure.resources.find(resource_type, wanted)
        if document is None:
            name = "/".join(names)
            raise SimulatedPlatformError(
                404,
                "ResourceNotFound",
                f"The Resource '{resource_type}/{name}' under resource group "
                f"'{self.scope.group}' was not found. For more details please go to "
                "https://aka.ms/ARMResourceNotFoundFix",
            )
        return document

    async def read_json(self) -> JsonObject:
        try:
            document = await self.request.json()
        except json.JSONDecodeError as error:
            raise _build_body_error() from error
        if not isinstance(document, dict):
            raise _build_body_error()
        return document

    def build_page(self, items: Sequence[Any], member: str = "value") -> JsonObject:
        """Return one page of a list, with `nextLink` if there is another.

        The query option `$skipToken` is the position of the page; `$top` limits its size.
        """
        start = self._parse_skip_token()
        top = self.request.query_params.get("$top", "")
        end = start + min(self.azure.page_size, int(top) if top.isdecimal() else sys.maxsize)
        page: JsonObject = {member: list(items[start:end])}
        if end < len(items):
            next_url = self.request.url.include_query_params(**{"$skipToken": end})
            page["nextLink"] = str(next_url.replace(scheme="https"))
        return page

    def _parse_skip_token(self) -> int:
        token = self.request.query_params.get("$skipToken", "0")
        if not token.isdecimal():
            raise SimulatedPlatformError(
                400, "InvalidSkipToken", f"The skip token '{token}' is invalid."
            )
        return int(token)


def build_collection_path(resource_type: str) -> str:
    """Return the path of all resources of a type that are in one group and have one parent."""
    namespace, kind, *children = resource_type.split("/")
    parents = zip(_PARENTS, children, strict=False)
    below = "".join(f"/{{{parent}}}/{child}" for parent, child in parents)
    return f"{GROUP}/providers/{namespace}/{kind}{below}"


type ArmHandler = Callable[[ArmCall], Awaitable[JsonObject | Response]]


def build_arm_route(method: str, path: str, handler: ArmHandler) -> AnyCaseRoute:
    """Return a route of Resource Manager. It is named after its handler."""

    async def answer_request(request: Request) -> Response:
        caller = require_token(request, *AUDIENCES)
        _require_api_version(request)
        call = ArmCall(request=request, tenant=request.app.state.tenant, caller=caller)
        _require_subscription(call)
        require_unlocked(call.azure, request.method, request.url.path)
        await require_allowed(call.azure, request)
        answer = await handler(call)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return AnyCaseRoute(path, answer_request, methods=[method], name=handler.__name__)


def _require_api_version(request: Request) -> None:
    version = request.query_params.get("api-version")
    if not version:
        raise SimulatedPlatformError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if not _API_VERSION.fullmatch(version):
        raise SimulatedPlatformError(
            400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid."
        )


def _require_subscription(call: ArmCall) -> None:
    subscription = call.request.path_params.get("subscription")
    if subscription is not None and subscription.lower() not in call.azure.subscriptions:
        raise SimulatedPlatformError(
            404,
            "SubscriptionNotFound",
            f"The subscription '{subscription}' could not be found.",
        )


def _build_body_error() -> SimulatedPlatformError:
    return SimulatedPlatformError(
        400, "InvalidRequestContent", "The request content was invalid and could not be read."
    )
