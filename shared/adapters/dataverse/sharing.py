"""Read and change with whom flows are shared, through Dataverse's functions and actions.

A principal is identified by its `ownerid`, which users and teams both have; responses contain no
other id. See platform.md#dataverse-sharing.
"""

from collections.abc import Mapping, Sequence

from pydantic import Field

from shared.adapters.dataverse.web_api import DataverseAdapter
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.environment import Environment
from shared.domain.sharing import DataversePrincipal, Share
from shared.errors import CmkflowError
from shared.ports import FlowSharing

_TYPE = "Microsoft.Dynamics.CRM."
_NO_RIGHTS = "None"


class _Principal(Wire):
    type: str = Field(alias="@odata.type")
    id: str = Field(alias="ownerid")


class _Access(Wire):
    #: Comma-separated names: the OData format of flags.
    mask: str = Field(alias="AccessMask")
    principal: _Principal = Field(alias="Principal")

    def to_domain(self) -> Share:
        names = {name.strip() for name in self.mask.split(",")}
        return Share(
            principal=DataversePrincipal(
                table=self.principal.type.rpartition(".")[2], id=self.principal.id.lower()
            ),
            rights=frozenset(names - {"", _NO_RIGHTS}),
        )


class _Accesses(Wire):
    items: tuple[_Access, ...] = Field(alias="PrincipalAccesses")


class DataverseSharing(DataverseAdapter, FlowSharing):
    """Implements the port `FlowSharing` with Dataverse's Web API."""

    async def list(self, environment: Environment, workflow_id: str) -> list[Share]:
        return _parse_shares(
            await self._dataverse.read(environment, _build_shares_request(workflow_id))
        )

    async def list_shares_by_flow(
        self, environment: Environment, workflow_ids: Sequence[str]
    ) -> dict[str, Sequence[Share] | CmkflowError]:
        calls = [_build_shares_request(workflow_id) for workflow_id in workflow_ids]
        answers = await self._dataverse.read_each_or_error(environment, calls)
        return {
            workflow_id: answer if isinstance(answer, CmkflowError) else _parse_shares(answer)
            for workflow_id, answer in zip(workflow_ids, answers, strict=True)
        }

    async def grant(self, environment: Environment, workflow_id: str, share: Share) -> None:
        await self._send_share(environment, "GrantAccess", workflow_id, share)

    async def modify(self, environment: Environment, workflow_id: str, share: Share) -> None:
        await self._send_share(environment, "ModifyAccess", workflow_id, share)

    async def revoke(
        self, environment: Environment, workflow_id: str, principal: DataversePrincipal
    ) -> None:
        body = {
            "Target": _build_target(workflow_id),
            "Revokee": _build_principal_reference(principal),
        }
        await self._dataverse.send(
            environment, ServiceRequest(method="POST", url="RevokeAccess", body=body)
        )

    async def _send_share(
        self, environment: Environment, action: str, workflow_id: str, share: Share
    ) -> None:
        body = {
            "Target": _build_target(workflow_id),
            "PrincipalAccess": {
                "Principal": _build_principal_reference(share.principal),
                "AccessMask": ",".join(sorted(share.rights)),
            },
        }
        await self._dataverse.send(
            environment, ServiceRequest(method="POST", url=action, body=body)
        )


def _build_target(workflow_id: str) -> dict[str, str]:
    return {"@odata.type": f"{_TYPE}workflow", "workflowid": workflow_id}


def _build_principal_reference(principal: DataversePrincipal) -> dict[str, str]:
    return {"@odata.type": _TYPE + principal.table, "ownerid": principal.id}


def _build_shares_request(workflow_id: str) -> ServiceRequest:
    return ServiceRequest(
        method="GET",
        url="RetrieveSharedPrincipalsAndAccess(Target=@t)",
        params={"@t": f"{{'@odata.id':'workflows({workflow_id})'}}"},
    )


def _parse_shares(document: Mapping[str, object]) -> list[Share]:
    return [one.to_domain() for one in parse_wire(_Accesses, document).items]
