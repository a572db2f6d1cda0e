"""Serve the operations that link an environment to an encryption policy, and unlink it.

See platform.md#link-requests, #link-operation.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.azure.key_health import find_policy
from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import AnyCaseRoute
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.access import find_tenant, require_bap_admin
from local_cloud.tenant.environments.environment import (
    LinkStatus,
    Operation,
    SimulatedEnvironment,
    SimulatedPolicyLink,
)
from local_cloud.tenant.environments.migration import apply_ended_operation
from local_cloud.tenant.environments.power_platform import PowerPlatform

#: What environments call a geography that policies call otherwise.
_LONG_NAMES = {"unitedkingdom": "uk", "unitedarabemirates": "uae"}
_REFUSED_SKUS = frozenset({"Trial", "Teams"})


def build_link_routes(_: Tenant, provider: str) -> list[Route]:
    base = f"{provider}/environments/{{environment}}/enterprisePolicies/Encryption"
    return [
        AnyCaseRoute(f"{base}/link", link_environment, methods=["POST"]),
        AnyCaseRoute(f"{base}/unlink", unlink_environment, methods=["POST"]),
    ]


async def link_environment(request: Request) -> Response:
    return await _change_link(request, is_link=True)


async def unlink_environment(request: Request) -> Response:
    return await _change_link(request, is_link=False)


async def _change_link(request: Request, *, is_link: bool) -> Response:
    caller = require_bap_admin(request)
    tenant = find_tenant(request)
    name = request.path_params["environment"]
    environment = tenant.get_part(PowerPlatform).environments.get(name)
    if environment is None:
        message = f"The environment '{name}' could not be found in the tenant."
        raise SimulatedPlatformError(404, "EnvironmentNotFound", message)
    body = {str(key).lower(): value for key, value in (await request.json()).items()}
    system_id = str(body.get("systemid") or "")
    start = start_link if is_link else start_unlink
    operation = start(tenant, environment, system_id, caller.object_id)
    host = request.headers["host"].removesuffix(":443")
    path = f"/providers/Microsoft.BusinessAppPlatform/lifecycleOperations/{operation.id}"
    headers = {
        "operation-location": f"https://{host}{path}?api-version=2019-10-01",
        "Retry-After": str(tenant.get_part(PowerPlatform).assumptions.link_retry_after),
    }
    return Response(status_code=202, headers=headers)


def start_link(
    tenant: Tenant, environment: SimulatedEnvironment, system_id: str, by: str
) -> Operation:
    """Start to link an environment.

    Raises `SimulatedPlatformError` if the platform rejects this.
    """
    _require_idle(tenant, environment)
    policy = find_policy(tenant, system_id)
    if policy is None:
        message = f"The enterprise policy '{system_id}' could not be found."
        raise SimulatedPlatformError(404, "EnterprisePolicyNotFound", message)
    _require_linkable(tenant, environment, policy)
    if environment.is_linked() and environment.policy.system_id == policy.system_id:  # type: ignore[union-attr]  # is_linked
        message = "The environment is already linked to this enterprise policy."
        raise SimulatedPlatformError(409, "EnterprisePolicyAlreadyLinked", message)
    environment.policy = replace(policy, status=LinkStatus.LINKING)
    return _begin_operation(tenant, environment, by, replace(policy, status=LinkStatus.LINKED))


def start_unlink(
    tenant: Tenant, environment: SimulatedEnvironment, system_id: str, by: str
) -> Operation:
    """Start to unlink an environment.

    Raises `SimulatedPlatformError` if the platform rejects this.
    """
    _require_idle(tenant, environment)
    policy = environment.policy
    if policy is None or policy.system_id.lower() != system_id.lower():
        message = f"The environment is not linked to the enterprise policy '{system_id}'."
        raise SimulatedPlatformError(400, "EnterprisePolicyNotLinked", message)
    policy.status = LinkStatus.UNLINKING
    return _begin_operation(tenant, environment, by, None)


def _begin_operation(
    tenant: Tenant, environment: SimulatedEnvironment, by: str, link: SimulatedPolicyLink | None
) -> Operation:
    platform, now = tenant.get_part(PowerPlatform), tenant.clock.now()
    assumptions = platform.assumptions
    starts = now + timedelta(seconds=assumptions.link_start_seconds)
    operation = Operation(
        id=str(uuid4()),
        type=assumptions.link_operation_type if link else assumptions.unlink_operation_type,
        environment=environment.id,
        requested_by=by,
        created=now,
        starts=starts,
        ends=starts + timedelta(seconds=assumptions.link_seconds),
        link=link,
        error=_find_failure(assumptions) if link else None,
    )
    environment.operation = operation
    platform.operations[operation.id] = operation
    apply_ended_operation(platform, environment, now)
    return operation


def _find_failure(assumptions: Assumptions) -> dict[str, str] | None:
    """Return why a link fails, if the tenant assumes that the next links fail.

    The link can be requested again. See platform.md#link-operation.
    """
    if assumptions.links_that_fail <= 0:
        return None
    assumptions.links_that_fail -= 1
    return {"code": "EncryptionFailed", "message": "Some data could not be encrypted."}


def _require_idle(tenant: Tenant, environment: SimulatedEnvironment) -> None:
    apply_ended_operation(tenant.get_part(PowerPlatform), environment, tenant.clock.now())
    if environment.operation is not None and not environment.operation.is_settled:
        message = "Another lifecycle operation is running on the environment."
        raise SimulatedPlatformError(409, "ConcurrentLifecycleOperation", message)


def _normalize_geography(location: str) -> str:
    """Return a geography's name in policies, such as `uk` for `unitedkingdom`.

    See platform.md#policy-regions.
    """
    return _LONG_NAMES.get(location.lower(), location.lower())


def _require_linkable(
    tenant: Tenant, environment: SimulatedEnvironment, policy: SimulatedPolicyLink
) -> None:
    """Reject an environment that the platform cannot link to a policy.

    See platform.md#environment-requirements.
    """
    if _normalize_geography(environment.location) != _normalize_geography(policy.location):
        message = (
            f"The environment is in '{environment.location}', the policy in '{policy.location}'."
        )
        raise SimulatedPlatformError(400, "EnterprisePolicyRegionMismatch", message)
    if not environment.is_managed:
        message = "The environment is not a Managed Environment."
        raise SimulatedPlatformError(400, "EnvironmentNotManaged", message)
    if environment.sku in _REFUSED_SKUS:
        message = f"Environments of the type '{environment.sku}' cannot be encrypted."
        raise SimulatedPlatformError(400, "EnvironmentSkuNotSupported", message)
    platform = tenant.get_part(PowerPlatform)
    linked = sum(
        other.policy is not None for other in platform.environments.values() if other != environment
    )
    if linked >= platform.assumptions.linked_environments_limit:
        message = f"The tenant already has {linked} environments with a customer-managed key."
        raise SimulatedPlatformError(400, "CustomerManagedKeyEnvironmentLimitReached", message)


def build_operation_body(tenant: Tenant, operation: Operation) -> dict[str, Any]:
    now = tenant.clock.now()
    provider = "/providers/Microsoft.BusinessAppPlatform"
    state = operation.compute_state(now)
    last = min(now, operation.ends)
    body: dict[str, Any] = {
        "id": operation.id,
        "links": {
            "self": {"path": f"{provider}/lifecycleOperations/{operation.id}"},
            "environment": {"path": f"{provider}/environments/{operation.environment}"},
        },
        "type": {"id": operation.type},
        "typeDisplayName": "Update Customer Managed Key",
        "state": {"id": state},
        "createdDateTime": format_time(operation.created),
        "lastActionDateTime": format_time(last),
        "requestedBy": {"id": operation.requested_by, "displayName": "ServicePrincipal"},
        "stages": [
            {"id": stage, "name": stage, "state": {"id": state}}
            for stage in ("Validate", "Prepare", "Run", "Finalize")
        ],
    }
    return body | ({"error": operation.error} if operation.error and state == "Failed" else {})
