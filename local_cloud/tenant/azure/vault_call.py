"""Check what all requests to a vault have in common: token, api-version, network rules, paging."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.ip_rules import is_address_allowed
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import VAULTS, Azure
from local_cloud.tenant.azure.vault_contents import Attributes, VaultContents
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.entra.directory import Directory

AUDIENCE = "https://vault.azure.net"

#: Every call comes from this address, and none from one of Azure's trusted services.
CALLER = "203.0.113.10"

#: A page of a vault holds 25 items unless `maxresults` says less.
_PAGE_SIZE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultCall:
    """A request to a vault that has passed the checks of token, version and network rules."""

    request: Request
    tenant: Tenant
    vault: VaultContents

    @property
    def now(self) -> datetime:
        return self.tenant.clock.now()

    @property
    def url(self) -> str:
        """The vault's address without a final slash."""
        return f"https://{self.vault.name}.vault.azure.net"

    def get_path_part(self, name: str) -> str:
        value: str = self.request.path_params.get(name, "")
        return value

    async def read_json(self) -> JsonObject:
        try:
            document = await self.request.json()
        except json.JSONDecodeError as error:
            raise build_parameter_error("The request body is not JSON.") from error
        if not isinstance(document, dict):
            raise build_parameter_error("The request body is not an object.")
        return document

    def build_attributes(self, attributes: Attributes) -> JsonObject:
        azure = self.tenant.get_part(Azure)
        document = azure.resources.find(VAULTS, self.vault.resource_id)
        properties = {} if document is None else document["properties"]
        return attributes.to_json() | {
            "recoveryLevel": "Recoverable" if self.is_purge_protected else "Recoverable+Purgeable",
            "recoverableDays": properties.get("softDeleteRetentionInDays", 90),
        }

    @property
    def is_purge_protected(self) -> bool:
        document = self.tenant.get_part(Azure).resources.find(VAULTS, self.vault.resource_id)
        return document is not None and document["properties"].get("enablePurgeProtection") is True

    def build_page(self, items: Sequence[JsonObject]) -> JsonObject:
        """Return one page of a list; `nextLink` is null on the last page."""
        query = self.request.query_params
        start, size = query.get("$skiptoken", "0"), query.get("maxresults", str(_PAGE_SIZE))
        if not start.isdecimal() or not size.isdecimal() or not 1 <= int(size) <= _PAGE_SIZE:
            raise build_parameter_error("maxresults or $skiptoken is invalid.")
        end = int(start) + int(size)
        next_url = self.request.url.include_query_params(**{"$skiptoken": end})
        return {
            "value": list(items[int(start) : end]),
            "nextLink": str(next_url.replace(scheme="https")) if end < len(items) else None,
        }


type VaultHandler = Callable[[VaultCall], Awaitable[JsonObject | Response]]


def build_vault_route(
    method: str, path: str, handler: VaultHandler, name: str | None = None
) -> Route:
    """Return a route that all vaults have.

    It is named after its handler, unless `name` is given.
    """

    async def answer_request(request: Request) -> Response:
        tenant: Tenant = request.app.state.tenant
        _require_vault_token(request, tenant.get_part(Directory).tenant_id)
        if not request.query_params.get("api-version"):
            raise build_parameter_error("The api-version query parameter is required.")
        host = (request.url.hostname or "").partition(".")[0]
        vault = tenant.get_part(Azure).find_vault(host)
        if vault is None:
            raise SimulatedPlatformError(404, "VaultNotFound", f"There is no vault named '{host}'.")
        _require_network_access(tenant.get_part(Azure), vault)
        call = VaultCall(request=request, tenant=tenant, vault=vault)
        answer = await handler(call)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return AnyCaseRoute(path, answer_request, methods=[method], name=name or handler.__name__)


def build_deleted_error(kind: str, name: str) -> SimulatedPlatformError:
    """Return the error (409) for the name of an item that is in the recycle bin."""
    return SimulatedPlatformError(
        409,
        "Conflict",
        f"{kind} {name} is currently in a deleted but recoverable state, and its name cannot be "
        f"reused; in this state, the {kind.lower()} can only be recovered or purged.",
        innererror={"code": "ObjectIsDeletedButRecoverable"},
    )


def require_existing[T](call: VaultCall, what: str, found: T | None) -> T:
    """Return the key, secret or version that was found. Rejects (404) a missing one.

    `what` is `key` or `secret`.
    """
    if found is None:
        name = "/".join(
            part for part in (call.get_path_part("name"), call.get_path_part("version")) if part
        )
        raise SimulatedPlatformError(
            404,
            f"{what.capitalize()}NotFound",
            f"A {what} with (name/id) {name} was not found in this key vault. If you recently "
            f"deleted this {what} you may be able to recover it using the correct recovery "
            "command.",
        )
    return found


def build_parameter_error(message: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(400, "BadParameter", message)


def _require_network_access(azure: Azure, vault: VaultContents) -> None:
    document = azure.resources.find(VAULTS, vault.resource_id)
    if document is None or is_address_allowed(document, CALLER):
        return
    if str(document["properties"].get("publicNetworkAccess", "Enabled")).lower() == "disabled":
        message = (
            "Public network access is disabled and request is not from a trusted service nor via "
            "an approved private link."
        )
        raise SimulatedPlatformError(
            403, "Forbidden", message, innererror={"code": "ForbiddenByConnection"}
        )
    message = (
        "Client address is not authorized and caller is not a trusted service.\r\n"
        f"Client address: {CALLER}\r\nVault: {vault.name};location={document['location']}"
    )
    raise SimulatedPlatformError(
        403, "Forbidden", message, innererror={"code": "ForbiddenByFirewall"}
    )


def _require_vault_token(request: Request, tenant_id: str) -> None:
    try:
        require_token(request, AUDIENCE)
    except SimulatedPlatformError as error:
        challenge = (
            f'Bearer authorization="https://login.microsoftonline.com/{tenant_id}", '
            f'resource="{AUDIENCE}"'
        )
        raise SimulatedPlatformError(
            401, "Unauthorized", error.message, headers={"WWW-Authenticate": challenge}
        ) from error
