"""Grant and revoke co-ownership of flows, and send requests as a co-owner.

Permissions are read and changed as the application in the admin scope (platform.md#co-owners).
Requests that need a co-owner are sent as the service account in the maker scope. See
platform.md#flow-permissions, #trigger-url-read.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from azure.core.credentials import AccessToken

from shared.adapters.flow_service.flows import read_flow
from shared.adapters.flow_service.service import FlowService
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.flow import FlowPermission, FlowServiceFlow
from shared.domain.platform_errors import PERMISSION_DOWNGRADE
from shared.errors import NotFound, PlatformError, ServiceUnavailable
from shared.ports import FlowsAsServiceAccount

_CO_OWNER = "CanEdit"


class ServiceAccount(Protocol):
    """The service account: its id and its access tokens."""

    async def read_object_id(self) -> str:
        """Return the Entra object id."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token. Raises `JobBlocked` if the service account must sign in again."""

    async def read_renewed_at(self) -> datetime | None:
        """Return when the sign-in was last renewed, or None if that is not known."""


class _Principal(Wire):
    id: str = ""
    type: str = ""


class _PermissionProperties(Wire):
    role_name: str = ""
    principal: _Principal = _Principal()


class PermissionEntity(Wire):
    """An item of a flow's permissions."""

    name: str
    properties: _PermissionProperties

    def to_domain(self) -> FlowPermission:
        """Return the permission as a domain object."""
        return FlowPermission(
            principal_id=self.properties.principal.id or self.name,
            role=self.properties.role_name,
            principal_type=self.properties.principal.type,
        )


class FlowServiceAccountFlows(FlowsAsServiceAccount):
    """Implements the port `FlowsAsServiceAccount` with the flow service."""

    def __init__(
        self, application: FlowService, as_account: FlowService, account: ServiceAccount
    ) -> None:
        self._application = application
        self._as_account = as_account
        self._account = account

    async def read_account_id(self) -> str:
        return await self._account.read_object_id()

    async def renew_sign_in(self) -> datetime | None:
        """Request a token: if the cached one has expired, a new refresh token comes with it."""
        await self._account.get_token(self._as_account.scope)
        return await self._account.read_renewed_at()

    async def read_permissions(self, environment_id: str, flow_name: str) -> list[FlowPermission]:
        call = ServiceRequest(method="GET", url=f"flows/{flow_name}/permissions")
        return [
            parse_wire(PermissionEntity, item).to_domain()
            async for item in self._application.read_items(environment_id, call)
        ]

    async def grant(self, environment_id: str, flow_name: str) -> bool:
        """Grant the service account co-ownership, and return whether the platform granted it.

        The platform rejects a grant to the owner, because it would reduce the owner's permissions
        (platform.md#permission-downgrades). A repeated grant changes nothing.
        """
        principal = {"id": await self.read_account_id(), "type": "User"}
        change = {"put": [{"properties": {"principal": principal, "roleName": _CO_OWNER}}]}
        try:
            await self._modify_permissions(environment_id, flow_name, change)
        except PlatformError as err:
            if err.code != PERMISSION_DOWNGRADE:
                raise
            return False
        return True

    async def revoke(self, environment_id: str, flow_name: str) -> None:
        """Revoke the service account's co-ownership; do nothing if it has none.

        Does not look up the permission, because a read could miss a recent grant
        (platform.md#reads-lag). A permission is identified by its principal
        (platform.md#flow-permissions).
        """
        change = {"delete": [{"id": await self.read_account_id()}]}
        with suppress(NotFound):
            await self._modify_permissions(environment_id, flow_name, change)

    async def read_trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        path = f"flows/{flow_name}/triggers/{trigger}/listCallbackUrl"
        call = ServiceRequest(method="POST", url=path, body={}, is_repeatable=True)
        answer = await self._as_account.read(environment_id, call, as_maker=True)
        # The platform uses both shapes (platform.md#trigger-url-read).
        url = text_at(mapping_at(answer, "response"), "value") or text_at(answer, "value")
        if url is None:
            raise ServiceUnavailable("Flow service: no trigger URL in the response")
        return url

    async def read_definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        return await read_flow(self._as_account, environment_id, flow_name, as_maker=True)

    async def start(self, environment_id: str, flow_name: str) -> None:
        call = ServiceRequest(method="POST", url=f"flows/{flow_name}/start", body={})
        await self._as_account.send(environment_id, call, as_maker=True)

    async def _modify_permissions(
        self, environment_id: str, flow_name: str, change: object
    ) -> None:
        call = ServiceRequest(
            method="POST", url=f"flows/{flow_name}/modifyPermissions", body=change
        )
        await self._application.send(environment_id, call)
