"""Serve environments, and applications with an administrator's rights, as the admin API (BAP) does.

See platform.md#environment-list.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.key_health import is_locked
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.odata import select_paths
from local_cloud.tenant.core.paging import parse_top, select_page
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.access import (
    find_environment,
    find_platform,
    find_tenant,
    find_visible_environments,
    is_admin_scope,
    require_bap_admin,
    require_bap_caller,
)
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.migration import apply_ended_operation
from local_cloud.tenant.environments.power_platform import PowerPlatform, list_runtime_endpoints
from local_cloud.tenant.power_platform.links import build_link_routes, build_operation_body

HOSTS = ("api.bap.microsoft.com", ".api.bap.microsoft.com")
PROVIDER = "/providers/Microsoft.BusinessAppPlatform"
OPTIONS: dict[str, tuple[str, ...]] = {
    "list_environments": ("$top",),
    "list_as_maker": ("$top",),
    "get_environment": ("$select",),
    "get_as_maker": ("$select",),
}


def build_routes(tenant: Tenant) -> list[Route]:
    admin, maker = f"{PROVIDER}/scopes/admin/environments", f"{PROVIDER}/environments"
    return [
        AnyCaseRoute(admin, list_environments),
        AnyCaseRoute(admin + "/{environment}", get_environment),
        AnyCaseRoute(maker, list_as_maker),
        AnyCaseRoute(maker + "/{environment}", get_as_maker),
        # Microsoft's scripts write a slash before the query.
        AnyCaseRoute(maker + "/{environment}/", get_as_maker),
        AnyCaseRoute(f"{PROVIDER}/lifecycleOperations/{{operation}}", get_operation),
        AnyCaseRoute(f"{PROVIDER}/adminApplications", list_admin_applications),
        AnyCaseRoute(
            f"{PROVIDER}/adminApplications/{{client_id}}",
            register_admin_application,
            methods=["PUT"],
        ),
        AnyCaseRoute(
            f"{PROVIDER}/adminApplications/{{client_id}}",
            remove_admin_application,
            methods=["DELETE"],
        ),
        *build_link_routes(tenant, PROVIDER),
    ]


async def list_environments(request: Request) -> Response:
    require_bap_admin(request)
    return _answer_list(request, list(find_platform(request).environments.values()))


async def get_environment(request: Request) -> Response:
    require_bap_admin(request)
    return _answer_environment(request, list(find_platform(request).environments.values()))


async def list_as_maker(request: Request) -> Response:
    return _answer_list(request, find_visible_environments(request, require_bap_caller(request)))


async def get_as_maker(request: Request) -> Response:
    return _answer_environment(
        request, find_visible_environments(request, require_bap_caller(request))
    )


def _answer_list(request: Request, environments: list[SimulatedEnvironment]) -> Response:
    size = parse_top(request, find_platform(request).assumptions.environment_page)
    chosen, next_link = select_page(request, environments, size)
    body: dict[str, Any] = {"value": [_build_environment_body(request, each) for each in chosen]}
    return JSONResponse(body | ({"nextLink": next_link} if next_link else {}))


def _answer_environment(request: Request, environments: list[SimulatedEnvironment]) -> Response:
    name = request.path_params["environment"]
    environment = find_environment(name, environments)
    if environment is None:
        message = f"The environment '{name}' could not be found in the tenant."
        raise SimulatedPlatformError(404, "EnvironmentNotFound", message)
    body = _build_environment_body(request, environment)
    return JSONResponse(select_paths(body, request.query_params.get("$select")))


async def get_operation(request: Request) -> Response:
    require_bap_admin(request)
    tenant = find_tenant(request)
    operation = tenant.get_part(PowerPlatform).operations.get(request.path_params["operation"])
    if operation is None:
        raise SimulatedPlatformError(
            404, "LifecycleOperationNotFound", "The operation was not found."
        )
    environment = tenant.get_part(PowerPlatform).environments[operation.environment]
    apply_ended_operation(tenant.get_part(PowerPlatform), environment, tenant.clock.now())
    return JSONResponse(build_operation_body(tenant, operation))


async def list_admin_applications(request: Request) -> Response:
    require_bap_admin(request)
    registered = [
        {"applicationId": each.client_id}
        for each in find_tenant(request).get_part(Directory).list_applications()
        if each.is_admin
    ]
    return JSONResponse({"value": registered})


async def register_admin_application(request: Request) -> Response:
    """Give an application an administrator's rights. Only a person may do this."""
    caller = require_bap_admin(request)
    if not caller.is_delegated:
        message = "A service principal cannot register an application."
        raise SimulatedPlatformError(403, "UserMissingRequiredPermission", message)
    return _set_admin(request, is_admin=True)


async def remove_admin_application(request: Request) -> Response:
    require_bap_admin(request)
    return _set_admin(request, is_admin=False)


def _set_admin(request: Request, *, is_admin: bool) -> Response:
    client_id = request.path_params["client_id"]
    application = find_tenant(request).get_part(Directory).find_client(client_id)
    if application is None:
        message = f"The application '{client_id}' was not found in the tenant."
        raise SimulatedPlatformError(404, "ApplicationNotFound", message)
    application.is_admin = is_admin
    return JSONResponse({"applicationId": client_id})


def _build_environment_body(request: Request, environment: SimulatedEnvironment) -> dict[str, Any]:
    tenant = find_tenant(request)
    now = tenant.clock.now()
    apply_ended_operation(tenant.get_part(PowerPlatform), environment, now)
    is_busy = (
        environment.operation is not None and environment.operation.compute_state(now) == "Running"
    )
    runtime = "Disabled" if is_busy or is_locked(tenant, environment) else "Enabled"
    properties: dict[str, Any] = {
        "tenantId": tenant.get_part(Directory).tenant_id,
        "azureRegion": environment.azure_region,
        "displayName": environment.display_name,
        "createdTime": format_time(environment.created),
        "provisioningState": "Succeeded",
        "creationType": "User",
        "environmentSku": environment.sku,
        "isDefault": environment.is_default,
        "databaseType": "CommonDataService" if environment.org_host else "None",
        "runtimeEndpoints": list_runtime_endpoints(environment),
        "states": {
            "management": {"id": "Ready"},
            "runtime": {"id": runtime, "runtimeReasonCode": "NotSpecified"},
        },
        "protectionStatus": {"keyManagedBy": "Microsoft"},
        "governanceConfiguration": {
            "protectionLevel": "Standard" if environment.is_managed else "Basic"
        },
    }
    if environment.org_host:
        properties["linkedEnvironmentMetadata"] = _build_dataverse(environment)
    if environment.policy:
        properties["enterprisePolicies"] = {"customerManagedKeys": _build_policy(environment)}
    is_admin = is_admin_scope(request)
    return {
        "id": f"{PROVIDER}{'/scopes/admin' if is_admin else ''}/environments/{environment.id}",
        "type": f"Microsoft.BusinessAppPlatform{'/scopes' if is_admin else ''}/environments",
        "location": environment.location,
        "name": environment.id,
        "properties": properties,
    }


def _build_dataverse(environment: SimulatedEnvironment) -> dict[str, Any]:
    host = environment.org_host or ""
    return {
        "resourceId": environment.org_id,
        "uniqueName": f"unq{environment.org_id.replace('-', '')}",
        "domainName": host.partition(".")[0],
        "friendlyName": environment.display_name,
        "instanceUrl": f"https://{host}/",
        "instanceApiUrl": f"https://{environment.api_host}",
        "baseLanguage": 1033,
        "instanceState": "Ready",
        "backgroundOperationsState": "Enabled",
    }


def _build_policy(environment: SimulatedEnvironment) -> dict[str, Any]:
    policy = environment.policy
    assert policy is not None
    return {
        "policyId": policy.policy_id,
        "location": policy.location,
        "id": policy.id,
        "systemId": policy.system_id,
        "linkStatus": policy.status,
    }
