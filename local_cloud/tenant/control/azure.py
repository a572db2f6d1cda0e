"""Serve the Azure part of the control API: what no client of Azure can see or cause.

Most actions of an administrator, such as rotating a key, are requests to the platform's own
operations. local_cloud/tenant/azure/README.md describes both.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.events import KeyEvent, KeyEventPayload, publish_key_event
from local_cloud.tenant.azure.key_health import find_lock_reason
from local_cloud.tenant.azure.reachability import FlowOrigin, find_denial
from local_cloud.tenant.azure.site_runtime import get_running_settings
from local_cloud.tenant.azure.state import POLICIES, SITES, SLOTS, Azure
from local_cloud.tenant.azure.vault_contents import Key, VaultContents
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.environments.access import find_tenant
from local_cloud.tenant.seed.azure import seed_azure


def build_control_routes() -> list[Route]:
    return [
        Route("/azure/seed", add_seed, methods=["POST"]),
        Route("/azure/site", read_site),
        Route("/azure/locks", read_locks),
        Route("/azure/reachability", read_reachability),
        Route("/azure/key-events", publish_event, methods=["POST"]),
        Route("/azure/keys", set_key_enabled, methods=["PATCH"]),
    ]


async def add_seed(request: Request) -> Response:
    seed_azure(find_tenant(request), await request.json())
    return Response(status_code=204)


async def read_site(request: Request) -> Response:
    site_id = request.query_params.get("id", "")
    azure = _get_azure(request)
    if not any(azure.resources.find(kind, site_id) for kind in (SITES, SLOTS)):
        raise SimulatedPlatformError(404, "NotFound", f"There is no site or slot '{site_id}'.")
    settings = get_running_settings(azure, site_id, find_tenant(request).clock.now())
    return JSONResponse({"settings": settings, "restarts": azure.restarts[site_id.lower()]})


async def read_locks(request: Request) -> Response:
    azure, now = _get_azure(request), find_tenant(request).clock.now()
    policies = azure.resources.list_of_type(POLICIES)
    return JSONResponse(
        {policy["id"]: find_lock_reason(azure, policy["id"], now) for policy in policies}
    )


async def read_reachability(request: Request) -> Response:
    """Return which resource would deny a flow's call, or null.

    The query is `?host=&region=&isProtected=true`.
    """
    query = request.query_params
    origin = FlowOrigin(region=query["region"], is_protected=query.get("isProtected") == "true")
    refusal = find_denial(_get_azure(request), query["host"], origin)
    return JSONResponse({"refusedBy": refusal.resource_id if refusal else None})


async def publish_event(request: Request) -> Response:
    order = await request.json()
    vault, key = _find_key(request, order["vault"], order["key"])
    news = KeyEventPayload(
        kind=KeyEvent(order["kind"]), vault=vault, key_name=key.name, version=key.latest
    )
    await publish_key_event(find_tenant(request), news)
    return Response(status_code=204)


async def set_key_enabled(request: Request) -> Response:
    order = await request.json()
    _, key = _find_key(request, order["vault"], order["key"])
    now = find_tenant(request).clock.now()
    key.latest.attributes.change({"enabled": bool(order["enabled"])}, now)
    return await read_locks(request)


def _find_key(request: Request, vault_name: str, name: str) -> tuple[VaultContents, Key]:
    vault = _get_azure(request).find_vault(vault_name)
    key = vault.find_key(name) if vault else None
    if vault is None or key is None:
        raise SimulatedPlatformError(404, "NotFound", f"There is no key '{vault_name}/{name}'.")
    return vault, key


def _get_azure(request: Request) -> Azure:
    return find_tenant(request).get_part(Azure)
