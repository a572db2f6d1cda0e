"""Determine as whom a request to Dataverse acts, and check the rights of that user.

See platform.md#impersonation.
"""

from dataclasses import dataclass

from starlette.requests import Request

from local_cloud.tenant.azure.key_health import is_locked
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tokens import require_token
from local_cloud.tenant.environments.access import build_organization_disabled_error, find_tenant
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedRole
from local_cloud.tenant.environments.migration import apply_ended_operation
from local_cloud.tenant.environments.power_platform import PowerPlatform

#: Column of a user row that is not sent: holds System Administrator.
IS_ADMINISTRATOR = "isadministrator"
#: Column of a user row that is not sent: holds prvActOnBehalfOfAnotherUser.
MAY_IMPERSONATE = "mayimpersonate"
_TO_ACT = "prvActOnBehalfOfAnotherUser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The user as whom a request acts: its sender, or somebody whom the sender impersonates."""

    #: Object id of the user for whom the change counts.
    object_id: str
    #: Object id of the caller, when it acts for somebody else.
    on_behalf_by: str | None
    #: May change everybody's rows (of both, when one acts for another).
    is_administrator: bool


def require_actor(request: Request) -> tuple[SimulatedEnvironment, Actor]:
    """Return the environment of the request's host, and as whom the request acts.

    Rejects senders who are not users of the environment, and all requests to a locked environment.
    """
    tenant = find_tenant(request)
    host = request.headers["host"].partition(":")[0]
    environment = tenant.get_part(PowerPlatform).find_environment_of_host(host)
    if environment is None:
        raise SimulatedPlatformError(404, "0x80048d02", f"No organization is found at '{host}'.")
    audiences = (f"https://{environment.org_host}", f"https://{environment.api_host}")
    caller = require_token(request, *audiences)
    apply_ended_operation(tenant.get_part(PowerPlatform), environment, tenant.clock.now())
    if is_locked(tenant, environment):
        raise build_organization_disabled_error(tenant.get_part(PowerPlatform).assumptions)
    user = environment.users.get(caller.object_id.lower())
    if user is None:
        message = f"The user {caller.object_id} is not a member of the organization."
        raise SimulatedPlatformError(403, "0x80072560", message)
    return environment, _impersonate_user(request, environment, user)


def _impersonate_user(request: Request, environment: SimulatedEnvironment, user: Row) -> Actor:
    caller_id = user["azureactivedirectoryobjectid"]
    other_object = request.headers.get("CallerObjectId")
    other_user = request.headers.get("MSCRMCallerID")
    if not other_object and not other_user:
        is_administrator = bool(user.get(IS_ADMINISTRATOR))
        return Actor(object_id=caller_id, on_behalf_by=None, is_administrator=is_administrator)
    if other_object:
        other = environment.users.get(other_object.lower())
    else:
        other = environment.get_table("systemusers").get((other_user or "").lower())
    if other is None:
        raise SimulatedPlatformError(403, "0x80072560", "The impersonated user does not exist.")
    if other["isdisabled"]:
        raise SimulatedPlatformError(403, "0x80040225", "The specified user is disabled.")
    if not user.get(MAY_IMPERSONATE):
        raise build_privilege_error(caller_id, _TO_ACT)
    return Actor(
        object_id=other["azureactivedirectoryobjectid"],
        on_behalf_by=caller_id,
        is_administrator=bool(user.get(IS_ADMINISTRATOR) and other.get(IS_ADMINISTRATOR)),
    )


def require_right(flow: Flow, actor: Actor, *, to_write: bool) -> None:
    if actor.is_administrator:
        return
    role = flow.find_role(actor.object_id)
    if role is None or (to_write and role == SimulatedRole.CAN_VIEW):
        raise build_privilege_error(
            actor.object_id, "prvWriteWorkflow" if to_write else "prvReadWorkflow"
        )


def find_privilege_depth(user: Row, privilege: str) -> str:
    if privilege == _TO_ACT:
        return "Global" if user.get(MAY_IMPERSONATE) else ""
    return "Global" if user.get(IS_ADMINISTRATOR) else "Basic"


def build_privilege_error(object_id: str, privilege: str) -> SimulatedPlatformError:
    message = f"Principal user (Id={object_id}) is missing {privilege} privilege."
    return SimulatedPlatformError(403, "0x80040220", message)


def find_user_id(environment: SimulatedEnvironment, object_id: str | None) -> str | None:
    """Return the `systemuserid` of a person or application, or None."""
    return environment.user_ids.get((object_id or "").lower())


def find_object_id(environment: SimulatedEnvironment, user_id: str) -> str:
    """Return the object id of the user with this `systemuserid`. Rejects (404) an unknown one."""
    user = environment.get_table("systemusers").get(user_id.lower())
    if user is None:
        message = f"systemuser With Id = {user_id} Does Not Exist"
        raise SimulatedPlatformError(404, "0x80040217", message)
    return str(user["azureactivedirectoryobjectid"])
