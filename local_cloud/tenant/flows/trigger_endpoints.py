"""Serve the trigger URLs of flows, at their old and new hosts (platform.md#url-shapes)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.access import find_tenant
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.run_contents import read_trigger_outputs
from local_cloud.tenant.flows.runtime import Start, call_url
from local_cloud.tenant.flows.trigger_calls import TriggerCall

HOSTS = (".logic.azure.com", ".environment.api.powerplatform.com")

_CALL = "/workflows/{workflow}/triggers/{trigger}/paths/invoke"
_PREFIXES = (
    "",
    "/powerautomate/automations/direct",
    "/powerautomate/automations/direct/cu/{capacity_unit}",
)
_OUTPUTS = "/workflows/{workflow}/runs/{run}/contents/TriggerOutputs"
_METHODS = ["POST", "GET", "PUT", "PATCH", "DELETE"]


def build_routes(_: Tenant) -> list[Route]:
    calls = [
        Route(f"{prefix}{_CALL}{rest}", call_trigger, methods=_METHODS)
        for prefix in _PREFIXES
        for rest in ("", "/{relative:path}")
    ]
    return calls + [
        Route(f"{prefix}{_OUTPUTS}", show_trigger_outputs, methods=["GET"]) for prefix in _PREFIXES
    ]


async def call_trigger(request: Request) -> Response:
    """Call a flow.

    Return 202 with the id of the run, or the result of the flow's Response action.
    """
    tenant = find_tenant(request)
    body = await request.body()
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
        headers=dict(request.headers),
        body=body,
    )
    answer = call_url(tenant, call, start)
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    return JSONResponse(answer.body, answer.status, headers=answer.headers)


async def show_trigger_outputs(request: Request) -> Response:
    tenant = find_tenant(request)
    found = tenant.get_part(PowerPlatform).find_called_flow(request.path_params["workflow"])
    now, name = tenant.clock.now(), request.path_params["run"]
    run = found and next((one for one in found[1].list_kept_runs(now) if one.name == name), None)
    if not found or not run:
        message = f"The workflow run '{name}' could not be found."
        raise SimulatedPlatformError(404, "WorkflowRunNotFound", message)
    authorization = request.headers.get("authorization", "")
    content = read_trigger_outputs(found[1], run, request.query_params, authorization, now)
    return Response(content, media_type="application/json; charset=utf-8")
