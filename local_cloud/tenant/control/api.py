"""Serve the control API over plain HTTP on a loopback port, for tests and for the demo.

The API is not a part of the platform. local_cloud/tenant/README.md describes each operation.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.control import azure, power_platform
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.core.platform_error import SimulatedPlatformError, render_platform_error
from local_cloud.tenant.core.requests import Budget
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.entra.managed_identity import issue_identity_token
from local_cloud.tenant.entra.sign_in import build_sign_in_routes
from local_cloud.tenant.environments.access import find_tenant
from local_cloud.tenant.flows.self_starting import apply_effects_of_time
from local_cloud.tenant.receivers.received_messages import Receivers


def build_control_application(tenant: Tenant, identity_header: str) -> Starlette:
    app = Starlette(
        routes=[
            Route("/msi/token", issue_identity_token),
            *build_sign_in_routes("/sign-in"),
            Route("/clock", read_clock),
            Route("/clock/advance", advance_clock, methods=["POST"]),
            Route("/refused-hosts", read_refused_hosts),
            Route("/calls", read_calls),
            Route("/calls/reset", reset_calls, methods=["POST"]),
            Route("/budgets", set_budgets, methods=["PUT"]),
            Route("/received-messages", list_received_messages),
            Route("/device-code-user", set_device_code_user, methods=["PUT"]),
            Route("/faults", add_fault, methods=["POST"]),
            Route("/faults", clear_faults, methods=["DELETE"]),
            *azure.build_control_routes(),
            *power_platform.build_control_routes(),
        ],
        exception_handlers={
            SimulatedPlatformError: render_platform_error,
            KeyError: _answer_bad_request,
            TypeError: _answer_bad_request,
            ValueError: _answer_bad_request,
        },
    )
    app.state.tenant = tenant
    app.state.identity_header = identity_header
    return app


async def _answer_bad_request(_: Request, error: Exception) -> Response:
    name = "" if type(error) is ValueError else f"{type(error).__name__}: "
    body = SimulatedPlatformError(400, "BadControlRequest", f"{name}{error}").build_body()
    return JSONResponse(body, 400)


async def read_clock(request: Request) -> Response:
    return JSONResponse({"now": format_time(find_tenant(request).clock.now())})


async def advance_clock(request: Request) -> Response:
    find_tenant(request).clock.advance(float((await request.json())["seconds"]))
    await apply_effects_of_time(find_tenant(request))
    return await read_clock(request)


async def read_refused_hosts(request: Request) -> Response:
    return JSONResponse(request.app.state.refused_hosts)


async def read_calls(request: Request) -> Response:
    calls = find_tenant(request).calls
    return JSONResponse(
        {
            "routes": dict(calls.routes),
            "capabilities": dict(calls.capabilities),
            "throttled": dict(calls.throttled),
        }
    )


async def reset_calls(request: Request) -> Response:
    find_tenant(request).calls.reset()
    return Response(status_code=204)


async def list_received_messages(request: Request) -> Response:
    return JSONResponse(find_tenant(request).get_part(Receivers).to_json())


async def set_device_code_user(request: Request) -> Response:
    directory, upn = find_tenant(request).get_part(Directory), (await request.json())["upn"]
    found = [one.object_id for one in directory.principals.values() if upn and one.upn == upn]
    if not found:
        names = ", ".join(sorted(one.upn for one in directory.principals.values() if one.upn))
        raise ValueError(f"The tenant has no user {upn}. Its users: {names}")
    directory.device_code_users = dict.fromkeys(directory.device_code_users, found[0])
    return Response(status_code=204)


async def set_budgets(request: Request) -> Response:
    """Set how many requests are allowed: `{"flow_service": {"calls": 5, "seconds": 60}}`.

    Null removes a budget.
    """
    budgets = find_tenant(request).calls.budgets
    for name, budget in (await request.json()).items():
        budgets.pop(name, None)
        if budget is not None:
            budgets[name] = Budget(**budget)
    return Response(status_code=204)


async def add_fault(request: Request) -> Response:
    orders = await request.json()
    for order in orders if isinstance(orders, list) else [orders]:
        find_tenant(request).faults.add(Fault.parse(order))
    return Response(status_code=204)


async def clear_faults(request: Request) -> Response:
    find_tenant(request).faults.clear()
    return Response(status_code=204)
