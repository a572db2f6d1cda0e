"""Serve the runs of a flow (platform.md#flow-runs)."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.odata import parse_filter
from local_cloud.tenant.core.paging import parse_top, select_page
from local_cloud.tenant.core.platform_error import InvalidQueryError, SimulatedPlatformError
from local_cloud.tenant.environments.access import (
    find_platform,
    find_tenant,
    require_flow,
    require_flow_caller,
    require_shown_flow,
)
from local_cloud.tenant.environments.flow import Flow, Run
from local_cloud.tenant.flow_service.bodies import build_run_body
from local_cloud.tenant.flows.call_history import RunStartKind
from local_cloud.tenant.flows.runtime import Start, start_run


async def list_runs(request: Request) -> Response:
    """Return the runs of a flow, newest first.

    Runs before the flow's migration to the customer-managed key are not included.
    """
    environment, flow = require_shown_flow(request, require_flow_caller(request))
    tenant = find_tenant(request)
    now = tenant.clock.now()
    moved = flow.protected_since if flow.is_protected(now) else None
    runs = [run for run in flow.list_kept_runs(now) if moved is None or run.started >= moved]
    if text := request.query_params.get("$filter"):
        matches = parse_filter(text)
        runs = [run for run in runs if matches(_build_filterable_row(run, now))]
    size = parse_top(request, find_platform(request).assumptions.run_page)
    chosen, next_link = select_page(request, runs, size)
    bodies = [build_run_body(environment, flow, run, tenant) for run in chosen]
    return JSONResponse({"value": bodies} | ({"nextLink": next_link} if next_link else {}))


def _build_filterable_row(run: Run, now: datetime) -> dict[str, str]:
    status, started = run.compute_status(now), format_time(run.started)
    return {"status": status, "startTime": started, "Status": status, "StartTime": started}


async def get_run(request: Request) -> Response:
    environment, flow = require_shown_flow(request, require_flow_caller(request))
    run = _require_run(request, flow)
    body = build_run_body(environment, flow, run, find_tenant(request))
    match request.query_params.get("$expand", "").lower():
        case "properties/actions":
            body["properties"]["actions"] = run.actions
        case "":
            pass
        case other:
            raise InvalidQueryError(f"The query option '$expand' has the invalid value '{other}'.")
    return JSONResponse(body)


async def cancel_run(request: Request) -> Response:
    _, flow = require_flow(request, require_flow_caller(request))
    run = _require_run(request, flow)
    now = find_tenant(request).clock.now()
    if now < run.ends:
        run.ends, run.outcome = now, "Cancelled"
    return Response(status_code=200)


async def resubmit_run(request: Request) -> Response:
    """Start a flow again with the trigger data of an earlier run, even while the flow is off.

    See platform.md#turning-off.
    """
    caller = require_flow_caller(request)
    environment, flow = require_flow(request, caller)
    run = _require_run(request, flow)
    start = Start(
        cause=RunStartKind.MANUAL, by=caller.object_id, tracking_id=run.client_tracking_id
    )
    again = start_run(find_tenant(request), environment, flow, start)
    again.trigger_outputs = run.trigger_outputs
    return Response(status_code=202)


def _require_run(request: Request, flow: Flow) -> Run:
    name = request.path_params["run"]
    for run in flow.list_kept_runs(find_tenant(request).clock.now()):
        if run.name == name:
            return run
    raise SimulatedPlatformError(
        404, "WorkflowRunNotFound", f"The run '{name}' could not be found."
    )
