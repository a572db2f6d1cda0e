"""Store the people, groups and applications of the tenant, and their rights."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import uuid4

from local_cloud.tenant.core.tokens import SimulatedCaller


class PrincipalType(StrEnum):
    USER = "User"
    SERVICE_PRINCIPAL = "ServicePrincipal"
    GROUP = "Group"


@dataclass(slots=True, kw_only=True)
class SimulatedPrincipal:
    object_id: str
    name: str
    type: PrincipalType = PrincipalType.USER
    #: User principal name, of a person.
    upn: str = ""
    #: Client id, of an application.
    client_id: str = ""
    #: Client secret of an application; None: it only has a managed identity.
    secret: str | None = None
    #: App roles of an application, by the object id of who is assigned them.
    app_roles: dict[str, list[str]] = field(default_factory=dict)
    #: Where an application lets people be sent back to; of loopback addresses any port.
    redirect_uris: list[str] = field(default_factory=list)
    #: Object ids of managed identities that an application trusts in place of a secret.
    federated_identities: list[str] = field(default_factory=list)
    #: Power Platform administrator (a person), or registered in `adminApplications`.
    is_admin: bool = False
    #: Holds a premium (or Process) licence.
    has_premium: bool = True


@dataclass(slots=True)
class Directory:
    """All principals of the tenant, by their object ids."""

    tenant_id: str = field(default_factory=lambda: str(uuid4()))
    principals: dict[str, SimulatedPrincipal] = field(default_factory=dict)
    #: Object id of the application whose managed identity the identity endpoint gives out.
    managed_identity: str | None = None
    #: Object id of the user who signs in when a device code is asked for.
    device_code_user: str | None = None
    #: The same for one application, by its client id.
    device_code_users: dict[str, str] = field(default_factory=dict)
    _clients: dict[str, SimulatedPrincipal] = field(default_factory=dict)

    def add(self, principal: SimulatedPrincipal) -> None:
        self.principals[principal.object_id] = principal
        if principal.client_id:
            self._clients[principal.client_id.lower()] = principal

    def find_client(self, client_id: str) -> SimulatedPrincipal | None:
        return self._clients.get(client_id.lower())

    def list_applications(self) -> list[SimulatedPrincipal]:
        return list(self._clients.values())

    def is_admin(self, caller: SimulatedCaller) -> bool:
        principal = self.principals.get(caller.object_id)
        return principal is not None and principal.is_admin

    def has_premium(self, object_id: str) -> bool:
        principal = self.principals.get(object_id)
        return principal is None or principal.has_premium
