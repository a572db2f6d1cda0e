"""Serve Azure Policy's check, which says in advance which assignments would deny a resource."""

from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.policy_assignments import find_denying_assignments
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.core.platform_error import SimulatedPlatformError


def build_routes() -> list[Route]:
    path = f"{GROUP}/providers/Microsoft.PolicyInsights/checkPolicyRestrictions"
    return [build_arm_route("POST", path, check_policy_restrictions)]


async def check_policy_restrictions(call: ArmCall) -> JsonObject:
    details = (await call.read_json()).get("resourceDetails", {})
    content = details.get("resourceContent")
    if not isinstance(content, dict) or not content.get("type"):
        raise SimulatedPlatformError(
            400, "InvalidCheckRestrictionsRequest", "The resource content has no type."
        )
    subscription, group = call.get_path_part("subscription"), call.get_path_part("group")
    scope = f"/subscriptions/{subscription}/resourceGroups/{group}"
    parent = details.get("scope") or scope
    return {
        "fieldRestrictions": [],
        "contentEvaluationResult": {
            "policyEvaluations": [
                {
                    "policyInfo": {"policyAssignmentId": one["id"]},
                    "evaluationResult": "NonCompliant",
                }
                for one in find_denying_assignments(call.azure, f"{parent}/", content)
            ]
        },
    }
