"""Serve the lists of flows, such as those of all flows and of flows on Microsoft's key.

See platform.md#microsoft-key-list, #flow-lists.
"""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local_cloud.tenant.core.paging import parse_top, select_page
from local_cloud.tenant.core.platform_error import InvalidQueryError
from local_cloud.tenant.environments.access import (
    find_platform,
    find_tenant,
    require_environment,
    require_flow_caller,
)
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.migration import find_flows_on_microsoft_key
from local_cloud.tenant.flow_service.bodies import build_full_body, build_lean_item
from local_cloud.tenant.flows.trigger_urls import build_callback


async def list_flows(request: Request) -> Response:
    """Return the flows of an environment for an administrator.

    Flows in solutions are only included on request.
    """
    require_flow_caller(request)
    environment = require_environment(request)
    included = _split_words(request, "include", "softDeletedFlows", "includeSolutionCloudFlows")
    excluded = _split_words(request, "exclude", "excludeSolutionCloudFlows")
    flows = [
        flow
        for flow in environment.list_shown_flows(find_tenant(request).clock.now())
        if (flow.state != SimulatedFlowState.DELETED or "softDeletedFlows" in included)
        and (not flow.is_in_solution or "includeSolutionCloudFlows" in included)
        and not (flow.is_in_solution and "excludeSolutionCloudFlows" in excluded)
    ]
    return _build_short_page(
        request, environment, flows, find_platform(request).assumptions.flow_page
    )


async def list_own_flows(request: Request) -> Response:
    """Return the flows that a maker owns, or those shared with the maker.

    Flows in solutions are only included on request. `search('personal')` in `$filter` selects own
    flows that are not shared, and `search('team')` flows that are shared by or with the maker.
    """
    caller = require_flow_caller(request)
    environment, tenant = require_environment(request), find_tenant(request)
    size = parse_top(request, find_platform(request).assumptions.flow_page)
    with_solutions = "includeSolutionCloudFlows" in _split_words(
        request, "include", "includeSolutionCloudFlows"
    )
    is_wanted = _build_search(request.query_params.get("$filter", ""))
    flows = [
        flow
        for flow in _list_present_flows(request, environment)
        if (with_solutions or not flow.is_in_solution) and is_wanted(flow, caller.object_id)
    ]
    chosen, next_link = select_page(request, flows, size)
    items = []
    for flow in chosen:
        body = build_full_body(tenant, environment, flow)
        for left_out in ("definition", "connectionReferences"):
            del body["properties"][left_out]
        items.append(body)
    return _answer_list(items, next_link)


def _build_search(text: str) -> Callable[[Flow, str], bool]:
    match text.replace(" ", ""):
        case "":
            return lambda flow, who: flow.owner == who
        case "search('personal')":
            return lambda flow, who: flow.owner == who and not flow.roles
        case "search('team')":
            return lambda flow, who: flow.find_role(who) is not None and bool(flow.roles)
        case _:
            raise InvalidQueryError(f"The query option '$filter' has the invalid value '{text}'.")


def _split_words(request: Request, option: str, *known: str) -> set[str]:
    words = set(filter(None, request.query_params.get(option, "").split(",")))
    if unknown := words - set(known):
        message = f"The query option '{option}' has the invalid value '{min(unknown)}'."
        raise InvalidQueryError(message)
    return words


async def list_flows_on_microsoft_key(request: Request) -> Response:
    """Serve `nonCmkMigratedFlows`, the list of flows on Microsoft's key.

    With `exclude`, only flows that cannot migrate are listed.
    """
    require_flow_caller(request)
    environment, platform = require_environment(request), find_platform(request)
    excluded = _split_words(request, "exclude", "cmkMigrationSupportedFlows")
    flows = find_flows_on_microsoft_key(
        platform,
        environment,
        find_tenant(request).clock.now(),
        only_stuck="cmkMigrationSupportedFlows" in excluded,
    )
    return _build_short_page(request, environment, flows, platform.assumptions.report_page)


async def list_http_action_flows(request: Request) -> Response:
    """Return the flows with an HTTP action: a firewall may deny their calls after the migration."""
    require_flow_caller(request)
    environment = require_environment(request)
    flows = [
        flow
        for flow in _list_present_flows(request, environment)
        if flow.get_facts().has_http_action
    ]
    return _build_short_page(
        request, environment, flows, find_platform(request).assumptions.report_page
    )


async def list_migrating_url_flows(request: Request) -> Response:
    """Return the flows whose trigger URL still has an old host (`azure.com`)."""
    require_flow_caller(request)
    environment = require_environment(request)
    flows = [
        flow
        for flow in _list_present_flows(request, environment)
        if flow.get_facts().has_callback_url
        and build_callback(environment, flow)["basePath"].partition(":443")[0].endswith("azure.com")
    ]
    return _build_short_page(
        request, environment, flows, find_platform(request).assumptions.report_page
    )


async def read_cmk_status(request: Request) -> Response:
    """Return the state of the environment's migration. The format of the body is assumed."""
    require_flow_caller(request)
    environment, now = require_environment(request), find_tenant(request).clock.now()
    if environment.migration_ends is None:
        status = "InProgress" if environment.is_migrating(now) else "NotStarted"
    elif now < environment.migration_ends:
        status = "InProgress"
    else:
        left = find_flows_on_microsoft_key(
            find_platform(request), environment, now, only_stuck=False
        )
        status = "PartiallyCompleted" if left else "Completed"
    return JSONResponse({"status": status})


def _list_present_flows(request: Request, environment: SimulatedEnvironment) -> list[Flow]:
    shown = environment.list_shown_flows(find_tenant(request).clock.now())
    return [flow for flow in shown if flow.state != SimulatedFlowState.DELETED]


def _build_short_page(
    request: Request, environment: SimulatedEnvironment, flows: Sequence[Flow], size: int
) -> Response:
    chosen, next_link = select_page(request, flows, parse_top(request, size))
    tenant = find_tenant(request)
    return _answer_list([build_lean_item(tenant, environment, flow) for flow in chosen], next_link)


def _answer_list(items: list[dict[str, Any]], next_link: str | None) -> Response:
    return JSONResponse({"value": items} | ({"nextLink": next_link} if next_link else {}))
