"""Co-ownership of flows, and the trigger URLs that only a co-owner may ask for.

See platform.md#flow-permissions, #trigger-url-read. Permissions are read and changed as the
application, in an administrator's view (platform.md#co-owners); what only a co-owner may do is done
as the operator, in a maker's view.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

from azure.core.credentials import AccessToken

from shared.adapters.flow_service.flows import read_flow
from shared.adapters.flow_service.service import SCOPE, FlowService
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, read_wire
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.flow import FlowPermission, FlowServiceFlow
from shared.domain.platform_errors import PERMISSION_DOWNGRADE
from shared.errors import NotFound, PlatformError, ServiceUnavailable
from shared.ports import FlowsAsServiceAccount

_CO_OWNER = "CanEdit"


class ServiceAccount(Protocol):
    """Who the operator is."""

    async def object_id(self) -> str:
        """Return the Entra object id."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token; raises `JobBlocked` where a person has to sign in again."""

    async def renewed(self) -> datetime | None:
        """Return when the sign-in was renewed last."""


class _Principal(Wire):
    id: str = ""
    type: str = ""


class _PermissionProperties(Wire):
    role_name: str = ""
    principal: _Principal = _Principal()


class PermissionEntity(Wire):
    """One item of a flow's permissions."""

    name: str
    properties: _PermissionProperties

    def to_domain(self) -> FlowPermission:
        """Return what the product keeps of it."""
        return FlowPermission(
            permission_id=self.name,
            principal_id=self.properties.principal.id or self.name,
            role=self.properties.role_name,
            principal_type=self.properties.principal.type,
        )


class FlowServiceAccountFlows(FlowsAsServiceAccount):
    """`FlowsAsServiceAccount` by the flow service."""

    def __init__(
        self, application: FlowService, as_operator: FlowService, operator: ServiceAccount
    ) -> None:
        """Call as the application, and as `operator` through the service `as_operator`."""
        self._application = application
        self._as_operator = as_operator
        self._operator = operator

    async def account_id(self) -> str:
        """Return the Entra object id of the operator."""
        return await self._operator.object_id()

    async def renew_sign_in(self) -> datetime | None:
        """Renew the operator's sign-in: a token of today comes with a new refresh token."""
        await self._operator.get_token(SCOPE)
        return await self._operator.renewed()

    async def permissions(self, environment_id: str, flow_name: str) -> list[FlowPermission]:
        """Return owners and co-owners."""
        call = ServiceRequest(method="GET", url=f"flows/{flow_name}/permissions")
        return [
            read_wire(PermissionEntity, item).to_domain()
            async for item in self._application.items(environment_id, call)
        ]

    async def grant(self, environment_id: str, flow_name: str) -> bool:
        """Make the operator a co-owner; says whether it is one now, and no more than that.

        Giving a role twice is giving it once, and where it would take rights away, which is the
        owner's case, the platform refuses (platform.md#permission-downgrades): nothing is missing
        then.
        """
        principal = {"id": await self.account_id(), "type": "User"}
        change = {"put": [{"properties": {"principal": principal, "roleName": _CO_OWNER}}]}
        try:
            await self._modify(environment_id, flow_name, change)
        except PlatformError as err:
            if err.code != PERMISSION_DOWNGRADE:
                raise
            return False
        return True

    async def revoke(self, environment_id: str, flow_name: str) -> None:
        """Take the operator's co-ownership back; does nothing if it has none.

        A permission is named by who holds it (platform.md#flow-permissions), so it need not be
        looked up; nor would one that was given a moment ago be listed for sure
        (platform.md#reads-lag).
        """
        change = {"delete": [{"id": await self.account_id()}]}
        with suppress(NotFound):
            await self._modify(environment_id, flow_name, change)

    async def trigger_url(self, environment_id: str, flow_name: str, trigger: str) -> str:
        """Return the trigger URL: a secret. Raises `PlatformError` where the trigger has none."""
        path = f"flows/{flow_name}/triggers/{trigger}/listCallbackUrl"
        call = ServiceRequest(method="POST", url=path, body={}, is_repeatable=True)
        answer = await self._as_operator.read(environment_id, call, as_maker=True)
        # Both shapes are in use (platform.md#trigger-url-read).
        url = text_at(mapping_at(answer, "response"), "value") or text_at(answer, "value")
        if url is None:
            raise ServiceUnavailable("Flow service: the answer holds no trigger URL")
        return url

    async def definition(self, environment_id: str, flow_name: str) -> FlowServiceFlow:
        """Return a flow as the operator sees it; raises `PlatformError` (403) if it is no
        co-owner.
        """
        return await read_flow(self._as_operator, environment_id, flow_name, as_maker=True)

    async def start(self, environment_id: str, flow_name: str) -> None:
        """Turn a flow on as the operator; raises `PlatformError` (403) if it is no co-owner."""
        call = ServiceRequest(method="POST", url=f"flows/{flow_name}/start", body={})
        await self._as_operator.send(environment_id, call, as_maker=True)

    async def _modify(self, environment_id: str, flow_name: str, change: object) -> None:
        call = ServiceRequest(
            method="POST", url=f"flows/{flow_name}/modifyPermissions", body=change
        )
        await self._application.send(environment_id, call)
