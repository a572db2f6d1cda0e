"""Serve the rules of network security groups one by one.

See platform.md#firewall-resources.
"""

import uuid

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import SECURITY_GROUPS
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_RULE = f"{GROUP}/providers/{SECURITY_GROUPS}/{{parent}}/securityRules/{{name}}"
_RULE_TYPE = f"{SECURITY_GROUPS}/securityRules"

#: Inbound rules that every group ends with: name, access, priority, source.
_DEFAULT_RULES = (
    ("AllowVnetInBound", "Allow", 65000, "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", "Allow", 65001, "AzureLoadBalancer"),
    ("DenyAllInBound", "Deny", 65500, "*"),
)

_RULE_DEFAULTS: JsonObject = {
    "provisioningState": "Succeeded",
    "protocol": "*",
    "sourcePortRange": "*",
    "destinationPortRange": "*",
    "sourceAddressPrefix": "*",
    "destinationAddressPrefix": "*",
    "sourcePortRanges": [],
    "destinationPortRanges": [],
    "sourceAddressPrefixes": [],
    "destinationAddressPrefixes": [],
}

#: An answer holds the plural or the singular of these, never both.
_EITHER_OR = (
    "sourcePortRange",
    "destinationPortRange",
    "sourceAddressPrefix",
    "destinationAddressPrefix",
)


def build_routes() -> list[Route]:
    return [
        build_arm_route("GET", _RULE, get_security_rule),
        build_arm_route("PUT", _RULE, put_security_rule),
        build_arm_route("DELETE", _RULE, delete_security_rule),
    ]


async def get_security_rule(call: ArmCall) -> JsonObject:
    rules = _list_rules(call)
    return rules[_find_position(call, rules)]


async def put_security_rule(call: ArmCall) -> Response:
    group, rules = (
        call.get_existing(SECURITY_GROUPS, call.get_path_part("parent")),
        _list_rules(call),
    )
    body = await call.read_json() | {"name": call.get_path_part("name")}
    rule = build_security_rule(group["id"], body)
    same = [each for each in rules if each["name"].lower() == rule["name"].lower()]
    if same and call.request.headers.get("If-None-Match") == "*":
        raise SimulatedPlatformError(
            412, "PreconditionFailed", f"Rule {rule['name']} is there already."
        )
    clash = [
        each
        for each in rules
        if each not in same and _compute_sort_key(each) == _compute_sort_key(rule)
    ]
    if clash:
        raise SimulatedPlatformError(
            400,
            "SecurityRuleConflict",
            f"Security rule {rule['name']} conflicts with rule {clash[0]['name']}. Rules cannot "
            "have the same Priority and Direction.",
        )
    rules[:] = [*(each for each in rules if each not in same), rule]
    return JSONResponse(rule, 200 if same else 201)


async def delete_security_rule(call: ArmCall) -> Response:
    rules = _list_rules(call)
    del rules[_find_position(call, rules)]
    return Response(status_code=200)


def build_security_group(group_id: str, description: JsonObject) -> JsonObject:
    rules = [build_security_rule(group_id, rule) for rule in description.get("securityRules", [])]
    defaults = [
        build_security_rule(
            group_id,
            {
                "name": name,
                "properties": {
                    "access": access,
                    "priority": priority,
                    "sourceAddressPrefix": source,
                    "direction": "Inbound",
                },
            },
        )
        for name, access, priority, source in _DEFAULT_RULES
    ]
    return {
        "id": group_id,
        "name": group_id.rpartition("/")[2],
        "type": SECURITY_GROUPS,
        "location": description.get("location", "westeurope"),
        "tags": description.get("tags", {}),
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": str(uuid.uuid4()),
            "securityRules": rules,
            "defaultSecurityRules": defaults,
        },
    }


def build_security_rule(group_id: str, body: JsonObject) -> JsonObject:
    """Return the document of a rule. Rejects (400) a body without a required member."""
    given = body.get("properties", {})
    missing = [key for key in ("access", "priority", "direction") if key not in given]
    if missing:
        raise SimulatedPlatformError(
            400, "InvalidRequestFormat", f"A security rule needs {', '.join(missing)}."
        )
    properties = _RULE_DEFAULTS | given
    for singular in _EITHER_OR:
        plural = f"{singular}es" if singular.endswith("Prefix") else f"{singular}s"
        if properties[plural]:
            del properties[singular]
    return {
        "id": f"{group_id}/securityRules/{body['name']}",
        "name": body["name"],
        "type": _RULE_TYPE,
        "properties": properties,
    }


def _list_rules(call: ArmCall) -> list[JsonObject]:
    group = call.get_existing(SECURITY_GROUPS, call.get_path_part("parent"))
    rules: list[JsonObject] = group["properties"]["securityRules"]
    return rules


def _find_position(call: ArmCall, rules: list[JsonObject]) -> int:
    name = call.get_path_part("name").lower()
    for position, rule in enumerate(rules):
        if rule["name"].lower() == name:
            return position
    raise SimulatedPlatformError(
        404, "NotFound", f"Security rule {call.get_path_part('name')} was not found."
    )


def _compute_sort_key(rule: JsonObject) -> tuple[str, int]:
    return rule["properties"]["direction"], rule["properties"]["priority"]
