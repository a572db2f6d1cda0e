"""Lists of the flow service: flows, and which of them Microsoft's key protects (§5.1, §5.2)."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.paging import page, top
from local_cloud.tenant.environments.access import (
    platform_of,
    require_environment,
    require_flow_caller,
    tenant_of,
)
from local_cloud.tenant.environments.environment import Environment
from local_cloud.tenant.environments.flow import Flow, FlowState
from local_cloud.tenant.environments.migration import report
from local_cloud.tenant.flow_service.bodies import full_body, lean_item
from local_cloud.tenant.flows.trigger_urls import callback


async def list_flows(request: Request) -> Response:
    """All flows of an environment, lean, for an administrator."""
    require_flow_caller(request)
    environment = require_environment(request)
    query = request.query_params
    options = {*query.get("include", "").split(","), *query.get("exclude", "").split(",")}
    flows = [
        flow
        for flow in environment.shown_flows(tenant_of(request).clock.now())
        if (flow.state != FlowState.DELETED or "softDeletedFlows" in options)
        and not (flow.is_in_solution and "excludeSolutionCloudFlows" in options)
    ]
    return _lean_page(request, environment, flows, platform_of(request).assumptions.flow_page)


async def list_own_flows(request: Request) -> Response:
    """The caller's own and shared flows, in the makers' form."""
    caller = require_flow_caller(request)
    environment, tenant = require_environment(request), tenant_of(request)
    size = top(request, platform_of(request).assumptions.flow_page)
    flows = [
        flow
        for flow in _present(request, environment)
        if flow.role_of(caller.object_id) is not None
    ]
    chosen, next_link = page(request, flows, size)
    items = []
    for flow in chosen:
        body = full_body(tenant, environment, flow)
        for left_out in ("definition", "connectionReferences"):
            del body["properties"][left_out]
        items.append(body)
    return _listed(items, next_link)


async def list_flows_on_microsoft_key(request: Request) -> Response:
    """`nonCmkMigratedFlows`: flows on Microsoft's key; with `exclude`, those that stay there."""
    require_flow_caller(request)
    environment, platform = require_environment(request), platform_of(request)
    excluded = request.query_params.get("exclude", "")
    flows = report(
        platform,
        environment,
        tenant_of(request).clock.now(),
        only_stuck="cmkMigrationSupportedFlows" in excluded,
    )
    return _lean_page(request, environment, flows, platform.assumptions.report_page)


async def list_http_action_flows(request: Request) -> Response:
    """Flows with an HTTP action, for their firewalls' sake."""
    require_flow_caller(request)
    environment = require_environment(request)
    flows = [flow for flow in _present(request, environment) if flow.facts().has_http_action]
    return _lean_page(request, environment, flows, platform_of(request).assumptions.report_page)


async def list_migrating_url_flows(request: Request) -> Response:
    """Flows whose trigger URL is still on the old hosts."""
    require_flow_caller(request)
    environment = require_environment(request)
    flows = [
        flow
        for flow in _present(request, environment)
        if flow.facts().has_callback_url
        and callback(environment, flow)["basePath"].partition(":443")[0].endswith("azure.com")
    ]
    return _lean_page(request, environment, flows, platform_of(request).assumptions.report_page)


async def read_cmk_status(request: Request) -> Response:
    """How far the environment's flows are; the body is not published ([SIM])."""
    require_flow_caller(request)
    environment, now = require_environment(request), tenant_of(request).clock.now()
    if environment.migration_ends is None:
        status = "InProgress" if environment.is_migrating(now) else "NotStarted"
    elif now < environment.migration_ends:
        status = "InProgress"
    else:
        left = report(platform_of(request), environment, now, only_stuck=False)
        status = "PartiallyCompleted" if left else "Completed"
    return JSONResponse({"status": status})


def _present(request: Request, environment: Environment) -> list[Flow]:
    shown = environment.shown_flows(tenant_of(request).clock.now())
    return [flow for flow in shown if flow.state != FlowState.DELETED]


def _lean_page(
    request: Request, environment: Environment, flows: Sequence[Flow], size: int
) -> Response:
    chosen, next_link = page(request, flows, top(request, size))
    tenant = tenant_of(request)
    return _listed([lean_item(tenant, environment, flow) for flow in chosen], next_link)


def _listed(items: list[dict[str, Any]], next_link: str | None) -> Response:
    return JSONResponse({"value": items} | ({"nextLink": next_link} if next_link else {}))
