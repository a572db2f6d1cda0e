"""Serve the flow service's lists of environments, for makers."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.paging import parse_top, select_page
from local_cloud.tenant.environments.access import (
    build_environment_denied_error,
    find_environment,
    find_platform,
    find_visible_environments,
    require_flow_caller,
    require_region,
)
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.power_platform import list_runtime_endpoints
from local_cloud.tenant.flow_service.bodies import PROVIDER


async def list_environments(request: Request) -> Response:
    mine = find_visible_environments(request, require_flow_caller(request))
    size = parse_top(request, find_platform(request).assumptions.environment_page)
    chosen, next_link = select_page(request, mine, size)
    value = [_build_body(each) for each in chosen]
    return JSONResponse({"value": value} | ({"nextLink": next_link} if next_link else {}))


async def get_environment(request: Request) -> Response:
    name = request.path_params["environment"]
    mine = find_visible_environments(request, require_flow_caller(request))
    environment = find_environment(name, mine)
    if environment is None:
        raise build_environment_denied_error(name)
    require_region(request, environment)
    return JSONResponse(_build_body(environment))


def _build_body(environment: SimulatedEnvironment) -> dict[str, Any]:
    return {
        "name": environment.id,
        "location": environment.location,
        "type": "Microsoft.ProcessSimple/environments",
        "id": f"{PROVIDER}/environments/{environment.id}",
        "properties": {
            "displayName": environment.display_name,
            "createdTime": format_time(environment.created),
            "createdBy": {"id": "SYSTEM", "displayName": "SYSTEM", "type": "NotSpecified"},
            "provisioningState": "Succeeded",
            "creationType": "DefaultTenant" if environment.is_default else "User",
            "environmentSku": environment.sku,
            "environmentType": "Production",
            "isDefault": environment.is_default,
            "azureRegionHint": environment.azure_region,
            "runtimeEndpoints": list_runtime_endpoints(environment),
        },
    }
