"""The hosts that trigger URLs point at, old and new (platform.md#url-shapes)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.access import find_tenant
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.runtime import Start, call_url
from local_cloud.tenant.flows.trigger_calls import TriggerCall

HOSTS = (".logic.azure.com", ".environment.api.powerplatform.com")

_CALL = "/workflows/{workflow}/triggers/{trigger}/paths/invoke"
_PREFIXES = (
    "",
    "/powerautomate/automations/direct",
    "/powerautomate/automations/direct/cu/{capacity_unit}",
)
_METHODS = ["POST", "GET", "PUT", "PATCH", "DELETE"]


def routes(_: Tenant) -> list[Route]:
    """Every form of a trigger URL, with or without a relative path."""
    return [
        Route(f"{prefix}{_CALL}{rest}", call_trigger, methods=_METHODS)
        for prefix in _PREFIXES
        for rest in ("", "/{relative:path}")
    ]


async def call_trigger(request: Request) -> Response:
    """Call a flow: 202 with a run id, or what its Response action says."""
    tenant = find_tenant(request)
    await request.body()
    call = TriggerCall(
        host=request.headers["host"].partition(":")[0],
        workflow_id=request.path_params["workflow"],
        trigger=request.path_params["trigger"],
        query=dict(request.query_params),
        authorization=request.headers.get("authorization", ""),
    )
    start = Start(
        cause=RunStartKind.URL,
        by=request.headers.get("user-agent", ""),
        tracking_id=request.headers.get("x-ms-client-tracking-id", ""),
    )
    answer = call_url(tenant, call, start)
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return JSONResponse(answer.body, answer.status, headers=answer.headers)
