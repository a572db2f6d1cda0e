"""Check who may use an operation of Power Platform.

The token's audience, its kind (person or application) and the sender's rights decide.
"""

import json

from starlette.requests import Request

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import SimulatedCaller, require_token
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.migration import apply_ended_operation
from local_cloud.tenant.environments.power_platform import (
    GLOBAL_FLOW_HOST,
    PowerPlatform,
    build_flow_host,
)

#: Audience of BAP (platform.md#audiences).
BAP_AUDIENCE = "https://service.powerapps.com/"
#: Audiences of the flow service; it takes Resource Manager's too.
FLOW_AUDIENCES = (
    "https://service.flow.microsoft.com/",
    "https://management.azure.com/",
    "https://management.core.windows.net/",
)


def find_tenant(request: Request) -> Tenant:
    tenant: Tenant = request.app.state.tenant
    return tenant


def find_platform(request: Request) -> PowerPlatform:
    return find_tenant(request).get_part(PowerPlatform)


def require_bap_caller(request: Request) -> SimulatedCaller:
    """Return who sends a request to BAP or the Power Apps service. Rejects invalid tokens."""
    caller = require_token(request, BAP_AUDIENCE)
    _require_api_version(request)
    return caller


def require_bap_admin(request: Request) -> SimulatedCaller:
    """Return who sends a request to BAP. Rejects all but Power Platform administrators."""
    caller = require_bap_caller(request)
    if not find_tenant(request).get_part(Directory).is_admin(caller):
        message = "The caller does not have the permission that the operation requires."
        raise SimulatedPlatformError(403, "UserMissingRequiredPermission", message)
    return caller


def require_flow_caller(request: Request) -> SimulatedCaller:
    """Return who sends a request to the flow service. Rejects senders who may not.

    The token's audience and kind decide, and at an administrator's path the right of an
    administrator.
    """
    caller = require_token(request, *FLOW_AUDIENCES)
    _require_api_version(request)
    operation = f"flow_service.{request.scope['route'].name}"
    if not caller.is_delegated and operation in find_platform(request).assumptions.delegated_only:
        message = f"The operation '{operation}' is not available to application tokens."
        raise SimulatedPlatformError(403, "ApplicationTokenNotSupported", message)
    if is_admin_scope(request) and not find_tenant(request).get_part(Directory).is_admin(caller):
        raise build_environment_denied_error(request.path_params.get("environment", ""))
    return caller


def is_admin_scope(request: Request) -> bool:
    return "/scopes/admin/" in request.url.path.lower()


def find_visible_environments(
    request: Request, caller: SimulatedCaller
) -> list[SimulatedEnvironment]:
    """Return the environments in which a maker is a user."""
    everything = find_platform(request).environments.values()
    return [each for each in everything if caller.object_id.lower() in each.users]


def find_environment(
    name: str, environments: list[SimulatedEnvironment]
) -> SimulatedEnvironment | None:
    """Return the environment with this name, or None. `~default` is the default one."""
    wanted = name.lower()
    is_wanted = (
        (lambda each: each.is_default)
        if wanted == "~default"
        else (lambda each: each.id.lower() == wanted)
    )
    return next(filter(is_wanted, environments), None)


def require_environment(request: Request) -> SimulatedEnvironment:
    """Return the environment in a request's path.

    Rejects an unknown one (403), as if rights were missing.
    """
    platform = find_platform(request)
    name = request.path_params["environment"]
    environment = platform.environments.get(name) or platform.environments.get(name.lower())
    if environment is None:
        raise build_environment_denied_error(name)
    require_region(request, environment)
    apply_ended_operation(platform, environment, find_tenant(request).clock.now())
    return environment


def require_region(request: Request, environment: SimulatedEnvironment) -> None:
    """Reject an environment whose region the request's host does not serve."""
    host = request.headers["host"].partition(":")[0].lower()
    if host == build_flow_host(environment.location) or not host.endswith(GLOBAL_FLOW_HOST):
        return  # BAP's hosts answer for every region
    if host != GLOBAL_FLOW_HOST:
        raise build_environment_denied_error(environment.id)
    if environment.location in find_platform(request).assumptions.global_flow_host_refuses:
        text = f"Cannot determine macro region for location '{environment.location}'"
        inner = SimulatedPlatformError(400, "MacroRegionDerivationFailed", text)
        message = (
            f"The request to Azure Resource Manager failed: '{json.dumps(inner.build_body())}'."
        )
        raise SimulatedPlatformError(400, "AzureResourceManagerRequestFailed", message)


def require_flow(request: Request, caller: SimulatedCaller) -> tuple[SimulatedEnvironment, Flow]:
    """Return the environment and flow in the path of a write, and keep the flow for reads.

    Rejects senders who may not edit the flow, except at an administrator's path.
    """
    environment = require_environment(request)
    name = _read_flow_name(request)
    flow = _require_flow(request, caller, environment.flows.get(name), name)
    find_platform(request).keep_flow_for_reads(environment, flow, find_tenant(request).clock.now())
    return environment, flow


def require_shown_flow(
    request: Request, caller: SimulatedCaller, name: str | None = None
) -> tuple[SimulatedEnvironment, Flow]:
    """Return the environment and flow in the path of a read, as reads show it now.

    Rejects the same senders as `require_flow`. `name` replaces the name in the path.
    """
    environment, now = require_environment(request), find_tenant(request).clock.now()
    name = name.lower() if name else _read_flow_name(request)
    return environment, _require_flow(
        request, caller, environment.find_shown_flow(now, name=name), name
    )


def _read_flow_name(request: Request) -> str:
    name: str = request.path_params["flow"].lower()
    return name


def _require_flow(request: Request, caller: SimulatedCaller, flow: Flow | None, name: str) -> Flow:
    if not is_admin_scope(request):
        _require_editor(request, caller, flow, name)
    if flow is None or flow.state == SimulatedFlowState.DELETED:
        raise build_flow_not_found_error(name)
    return flow


def _require_editor(
    request: Request, caller: SimulatedCaller, flow: Flow | None, name: str
) -> None:
    """Reject senders who may not edit the flow. Changes of roles take effect at once."""
    environment = require_environment(request)
    if environment.org_host and caller.object_id.lower() not in environment.users:
        message = f"The user '{caller.object_id}' has no role in the environment's Dataverse."
        raise SimulatedPlatformError(403, "InsufficientCdsPermissions", message)
    now = environment.workflows.get(flow.workflow_entity_id, flow) if flow else None
    is_shared = now is not None and caller.object_id in now.rights
    is_heard = find_platform(request).assumptions.shares_let_people_ask or not is_shared
    if now is None or not is_heard or not now.may_be_edited_by(caller.object_id):
        message = (
            f"The caller with object id '{caller.object_id}' does not have permission for "
            f"connection '{name}' under Api 'shared_logicflows'."
        )
        raise SimulatedPlatformError(403, "ConnectionAuthorizationFailed", message)


def build_flow_not_found_error(name: str) -> SimulatedPlatformError:
    return SimulatedPlatformError(404, "FlowNotFound", f"Could not find flow '{name}'.")


def build_organization_disabled_error(assumptions: Assumptions) -> SimulatedPlatformError:
    """Return the error for every request to the Dataverse of a locked environment.

    See platform.md#key-loss.
    """
    message = (
        "The Dynamics 365 organization you are attempting to access is currently disabled.  "
        "Please contact your system administrator"
    )
    return SimulatedPlatformError(assumptions.disabled_status, "0x8004a104", message)


def build_environment_denied_error(name: str) -> SimulatedPlatformError:
    """Return the flow service's error (403) for an unknown environment and for missing rights."""
    message = f"Access to the environment '{name}' is denied."
    return SimulatedPlatformError(403, "EnvironmentAccessDenied", message)


def _require_api_version(request: Request) -> None:
    if not request.query_params.get("api-version"):
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise SimulatedPlatformError(400, "MissingApiVersionParameter", message)
