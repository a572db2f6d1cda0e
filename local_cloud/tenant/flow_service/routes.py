"""Map the paths of the flow service (Microsoft.ProcessSimple) to operations.

Most operations exist twice: for administrators (`scopes/admin`), with the route name `admin_…`, and
for makers. See platform.md#flow-service.
"""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.azure.enterprise_policies import LOCATIONS
from local_cloud.tenant.azure.key_health import is_locked
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.access import (
    build_organization_disabled_error,
    find_platform,
    find_tenant,
    require_environment,
    require_flow_caller,
)
from local_cloud.tenant.environments.power_platform import GLOBAL_FLOW_HOST, build_flow_host
from local_cloud.tenant.flow_service import (
    environments,
    flows,
    lists,
    packages,
    runs,
    sharing,
)

HOSTS = (GLOBAL_FLOW_HOST, *{build_flow_host(location): None for location in LOCATIONS})

_ENVIRONMENTS = "/providers/Microsoft.ProcessSimple/environments"
_MAKER = f"{_ENVIRONMENTS}/{{environment}}"
_ADMIN = "/providers/Microsoft.ProcessSimple/scopes/admin/environments/{environment}"

OPTIONS = {
    "list_environments": ("$top",),
    "admin_list_flows": ("$top", "include", "exclude"),
    "list_own_flows": ("$top", "$filter", "include"),
    "admin_list_flows_on_microsoft_key": ("$top", "exclude"),
    "admin_list_http_action_flows": ("$top",),
    "admin_list_migrating_url_flows": ("$top",),
    "admin_move_into_solution": ("solutionId",),
    "get_flow": ("$expand",),
    "admin_get_flow": ("$expand",),
    "list_runs": ("$top", "$filter"),
    "admin_list_runs": ("$top", "$filter"),
    "get_run": ("$expand",),
    "admin_get_run": ("$expand",),
}

type Endpoint = Callable[[Request], Awaitable[Response]]

#: Operations on one flow that both scopes have: method, path below the flow, endpoint.
_BOTH: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "", flows.get_flow),
    ("DELETE", "", flows.delete_flow),
    ("POST", "/start", flows.start_flow),
    ("POST", "/stop", flows.stop_flow),
    ("GET", "/permissions", sharing.list_permissions),
    ("POST", "/modifyPermissions", sharing.modify_permissions),
    ("GET", "/runs", runs.list_runs),
    ("GET", "/runs/{run}", runs.get_run),
    ("POST", "/runs/{run}/cancel", runs.cancel_run),
)
#: Operations on one flow for its owners.
_MAKERS: tuple[tuple[str, str, Endpoint], ...] = (
    ("PATCH", "", flows.update_flow),
    ("GET", "/triggers", sharing.list_triggers),
    ("POST", "/triggers/{trigger}/listCallbackUrl", sharing.list_callback_url),
    ("POST", "/regenerateAccessKey", sharing.regenerate_access_key),
    ("POST", "/exportToARMTemplate", packages.export_to_arm_template),
    ("POST", "/triggers/{trigger}/histories/{run}/resubmit", runs.resubmit_run),
)
#: Operations on an environment for administrators.
_ADMINS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/v2/flows", lists.list_flows),
    ("GET", "/nonCmkMigratedFlows", lists.list_flows_on_microsoft_key),
    ("GET", "/httpActionFlows", lists.list_http_action_flows),
    ("GET", "/flowsWithMigratingTriggerUrl", lists.list_migrating_url_flows),
    ("POST", "/migrateFlows", flows.move_into_solution),
    ("POST", "/flows/{flow}/restore", flows.restore_flow),
)


def build_routes(_: Tenant) -> list[Route]:
    table = [(method, _ADMIN + path, endpoint, True) for method, path, endpoint in _ADMINS]
    for method, path, endpoint in _BOTH:
        table.append((method, f"{_ADMIN}/flows/{{flow}}{path}", endpoint, True))
        table.append((method, f"{_MAKER}/flows/{{flow}}{path}", endpoint, False))
    for method, path, endpoint in _MAKERS:
        table.append((method, f"{_MAKER}/flows/{{flow}}{path}", endpoint, False))
    table += [
        # Microsoft's newer clients write another provider, and a solution in the path
        # (platform.md#move-into-solution).
        (
            "POST",
            "/providers/Microsoft.Flow/environments/{environment}/solutions/{solution}/migrateFlows",
            flows.move_into_solution,
            False,
        ),
        ("GET", _ENVIRONMENTS, environments.list_environments, False),
        ("GET", _MAKER, environments.get_environment, False),
        ("GET", f"{_MAKER}/cmkstatus", lists.read_cmk_status, False),
        ("GET", f"{_MAKER}/flows", lists.list_own_flows, False),
        ("POST", f"{_MAKER}/flows", flows.create_flow, False),
    ]
    return [
        AnyCaseRoute(
            path,
            _require_enabled(endpoint) if "{environment}/" in path else endpoint,
            methods=[method],
            name=_name_route(endpoint, is_admin),
        )
        for method, path, endpoint, is_admin in table
    ]


def _require_enabled(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that rejects requests for a locked environment, as Dataverse does.

    See platform.md#key-loss.
    """

    @wraps(endpoint)
    async def require_enabled(request: Request) -> Response:
        require_flow_caller(request)
        if is_locked(find_tenant(request), require_environment(request)):
            error = build_organization_disabled_error(find_platform(request).assumptions)
            message = (
                f"Request to XRM API failed with error: 'Message: {error.message}\n"
                f"Code: {error.code}\nInnerError: '."
            )
            raise SimulatedPlatformError(error.status, "XrmApiRequestFailed", message)
        return await endpoint(request)

    return require_enabled


def _name_route(endpoint: Endpoint, is_admin: bool) -> str:
    name: str = getattr(endpoint, "__name__")  # noqa: B009
    return f"admin_{name}" if is_admin else name
