"""Serve the control API's operations on the tenant, its environments and its flows: read them, and
play people who change them.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.key_health import is_locked
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.environments.access import find_tenant
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.migration import apply_ended_operation
from local_cloud.tenant.environments.power_platform import PowerPlatform
from local_cloud.tenant.flows.call_history import CallHistory, RunStartKind, build_run_json
from local_cloud.tenant.flows.lifecycle import save, turn_off, turn_on
from local_cloud.tenant.flows.runtime import Start, start_run
from local_cloud.tenant.flows.self_starting import play_event
from local_cloud.tenant.flows.trigger_urls import build_callback
from local_cloud.tenant.power_platform.links import start_link, start_unlink
from local_cloud.tenant.seed.tenant import seed

_ENVIRONMENT = "/environments/{environment}"
_FLOW = _ENVIRONMENT + "/flows/{flow}"


def build_control_routes() -> list[Route]:
    return [
        Route("/seed", add_seed, methods=["POST"]),
        Route("/assumptions", change_assumptions, methods=["PUT"]),
        Route("/ledger", read_ledger),
        Route("/tokens/expire", expire_tokens, methods=["POST"]),
        Route("/outbox", read_outbox),
        Route(_ENVIRONMENT, read_environment, methods=["GET"]),
        Route(_ENVIRONMENT, change_environment, methods=["PATCH"]),
        Route(_ENVIRONMENT + "/link", link_environment, methods=["POST"]),
        Route(_ENVIRONMENT + "/unlink", unlink_environment, methods=["POST"]),
        Route(_ENVIRONMENT + "/events", emit_event, methods=["POST"]),
        Route(_ENVIRONMENT + "/connections/{connection}", share_connection, methods=["PATCH"]),
        Route(_ENVIRONMENT + "/canvasApps/{app}", publish_app, methods=["PATCH"]),
        Route(_ENVIRONMENT + "/flows", list_flows),
        Route(_FLOW, read_flow, methods=["GET"]),
        Route(_FLOW, edit_flow, methods=["PATCH"]),
        Route(_FLOW + "/run", run_flow, methods=["POST"]),
    ]


def _require_environment(request: Request) -> SimulatedEnvironment:
    platform, name = (
        find_tenant(request).get_part(PowerPlatform),
        request.path_params["environment"],
    )
    environment = platform.environments.get(name)
    if environment is None:
        raise SimulatedPlatformError(
            404, "EnvironmentNotFound", f"There is no environment '{name}'."
        )
    apply_ended_operation(platform, environment, find_tenant(request).clock.now())
    return environment


def _require_flow(request: Request) -> tuple[SimulatedEnvironment, Flow]:
    environment, name = _require_environment(request), request.path_params["flow"].lower()
    flow = environment.flows.get(name) or environment.workflows.get(name)
    if flow is None:
        raise SimulatedPlatformError(404, "FlowNotFound", f"There is no flow '{name}'.")
    return environment, flow


async def add_seed(request: Request) -> Response:
    seed(find_tenant(request), await request.json())
    return Response(status_code=204)


async def change_assumptions(request: Request) -> Response:
    find_tenant(request).get_part(PowerPlatform).assumptions.change(await request.json())
    return Response(status_code=204)


async def read_ledger(request: Request) -> Response:
    """Return the calls and starts of flows from entry `?since=` on, and the next `since`."""
    tenant = find_tenant(request)
    ledger, since = tenant.get_part(CallHistory), int(request.query_params.get("since", "0"))
    entries = ledger.to_json(since, tenant.clock.now())
    return JSONResponse({"entries": entries, "next": since + len(entries)})


async def expire_tokens(request: Request) -> Response:
    find_tenant(request).tokens.expire_all()
    return Response(status_code=204)


async def read_outbox(request: Request) -> Response:
    messages = find_tenant(request).outbox.messages
    return JSONResponse(
        [
            {"queue": message.queue, "body": message.body, "properties": message.properties}
            for message in messages
        ]
    )


async def read_environment(request: Request) -> Response:
    environment, now = _require_environment(request), find_tenant(request).clock.now()
    present = [flow for flow in environment.order if flow.state != SimulatedFlowState.DELETED]
    return JSONResponse(
        {
            "id": environment.id,
            "linkStatus": environment.policy.status if environment.policy else None,
            "systemId": environment.policy.system_id if environment.policy else None,
            "isMigrating": environment.is_migrating(now),
            "isLocked": is_locked(find_tenant(request), environment),
            "flows": len(present),
            "protectedFlows": sum(flow.is_protected(now) for flow in present),
        }
    )


async def change_environment(request: Request) -> Response:
    environment, body = _require_environment(request), await request.json()
    environment.is_locked = body.get("isLocked", environment.is_locked)
    environment.is_managed = body.get("isManaged", environment.is_managed)
    environment.sku = body.get("sku", environment.sku)
    return await read_environment(request)


async def link_environment(request: Request) -> Response:
    system_id = (await request.json())["systemId"]
    start_link(find_tenant(request), _require_environment(request), system_id, "administrator")
    return await read_environment(request)


async def unlink_environment(request: Request) -> Response:
    environment = _require_environment(request)
    system_id = environment.policy.system_id if environment.policy else ""
    start_unlink(find_tenant(request), environment, system_id, "administrator")
    return await read_environment(request)


async def emit_event(request: Request) -> Response:
    started = play_event(find_tenant(request), _require_environment(request), await request.json())
    return JSONResponse({"started": started})


async def share_connection(request: Request) -> Response:
    connection = _require_environment(request).connections.get(request.path_params["connection"])
    if connection is None:
        raise SimulatedPlatformError(404, "ConnectionNotFound", "There is no such connection.")
    connection.shared_with = set((await request.json())["sharedWith"])
    return Response(status_code=204)


async def publish_app(request: Request) -> Response:
    app = _require_environment(request).canvas_apps.get(request.path_params["app"])
    if app is None:
        raise SimulatedPlatformError(404, "AppNotFound", "There is no such app.")
    app.flows = tuple((await request.json())["flows"])
    return Response(status_code=204)


async def list_flows(request: Request) -> Response:
    environment, now = _require_environment(request), find_tenant(request).clock.now()
    return JSONResponse([_build_summary(flow, now) for flow in environment.order])


def _build_summary(flow: Flow, now: Any) -> dict[str, Any]:
    return {
        "name": flow.name,
        "workflowEntityId": flow.workflow_entity_id,
        "workflowId": flow.workflow_id,
        "displayName": flow.display_name,
        "state": flow.state,
        "owner": flow.owner,
        "isProtected": flow.is_protected(now),
        "inSolution": flow.is_in_solution,
    }


async def read_flow(request: Request) -> Response:
    environment, flow = _require_flow(request)
    now = find_tenant(request).clock.now()
    has_url = flow.get_facts().has_callback_url
    body = _build_summary(flow, now) | {
        "clientData": flow.client_data,
        "modified": format_time(flow.modified),
        "modifiedBy": flow.modified_by,
        "description": flow.description,
        "coOwners": flow.roles,
        "solutions": sorted(flow.solutions),
        "referencesWiped": flow.references_wiped,
        "savedVariables": flow.saved_variables,
        "triggerUrl": build_callback(environment, flow)["value"] if has_url else None,
        "runs": [build_run_json(run, now) for run in flow.runs],
    }
    return JSONResponse(body)


async def edit_flow(request: Request) -> Response:
    """Edit a flow as the person `by`: `clientData`, `displayName`, `state` or `runSeconds`."""
    environment, flow = _require_flow(request)
    tenant, body = find_tenant(request), await request.json()
    by = body.get("by", flow.owner)
    tenant.get_part(PowerPlatform).keep_flow_for_reads(environment, flow, tenant.clock.now())
    if "clientData" in body:
        save(tenant, environment, flow, body["clientData"])
    flow.display_name = body.get("displayName", flow.display_name)
    flow.run_seconds = body.get("runSeconds", flow.run_seconds)
    if body.get("state") == SimulatedFlowState.STARTED:
        turn_on(tenant, environment, flow, by)
    elif body.get("state") == SimulatedFlowState.STOPPED:
        turn_off(tenant, environment, flow)
    flow.touch(by, tenant.clock.now())
    return await read_flow(request)


async def run_flow(request: Request) -> Response:
    environment, flow = _require_flow(request)
    if flow.state != SimulatedFlowState.STARTED:
        raise SimulatedPlatformError(409, "FlowIsOff", "The flow is not turned on.")
    tenant = find_tenant(request)
    body = await request.json() if await request.body() else {}
    start = Start(cause=RunStartKind.MANUAL, by=body.get("by", "somebody"))
    run = start_run(tenant, environment, flow, start)
    return JSONResponse(build_run_json(run, tenant.clock.now()))
