"""Apply assignments of Azure Policy with the effect `deny`.

An assignment denies a PUT or PATCH in its scope if the resource would then match the assignment's
condition. See platform.md#azure-policy.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping

from starlette.requests import Request

from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_ASSIGNMENTS = "Microsoft.Authorization/policyAssignments"
_TAG = re.compile(r"tags(?:\.|\[')(?P<name>[^']+)(?:'\])?")
_OPERATORS: Mapping[str, Callable[[object, object], bool]] = {
    "equals": lambda found, wanted: _fold_case(found) == _fold_case(wanted),
    "notEquals": lambda found, wanted: _fold_case(found) != _fold_case(wanted),
    "exists": lambda found, wanted: (found is not None) == (_fold_case(wanted) == "true"),
    "in": lambda found, wanted: (
        isinstance(wanted, list) and _fold_case(found) in map(_fold_case, wanted)
    ),
}


def build_assignment(scope: str, name: str, condition: JsonObject) -> JsonObject:
    return {
        "id": f"{scope}/providers/{_ASSIGNMENTS}/{name}",
        "name": name,
        "type": _ASSIGNMENTS,
        "properties": {"scope": scope, "policyRule": {"if": condition, "then": {"effect": "deny"}}},
    }


async def require_allowed(azure: Azure, request: Request) -> None:
    """Reject (403) a PUT or PATCH that an assignment denies."""
    path = request.url.path
    if request.method not in ("PUT", "PATCH") or "/hostruntime/" in path.lower():
        return
    if not azure.policy_assignments:
        return
    provider, *names = path.rpartition("/providers/")[2].split("/")
    resource_type = "/".join([provider, *names[::2]])
    there = azure.resources.find(resource_type, path) or {}
    given = json.loads(await request.body() or b"{}")
    content = there | given | {"type": resource_type, "name": names[-1]}
    denying = [*find_denying_assignments(azure, path, content)]
    if denying:
        info = [
            {
                "type": "PolicyViolation",
                "info": {"policyAssignmentId": one["id"], "policyAssignmentName": one["name"]},
            }
            for one in denying
        ]
        raise SimulatedPlatformError(
            403,
            "RequestDisallowedByPolicy",
            f"Resource '{names[-1]}' was disallowed by policy. See error details for policy "
            "resource IDs.",
            target=names[-1],
            additionalInfo=info,
        )


def find_denying_assignments(azure: Azure, path: str, content: JsonObject) -> Iterator[JsonObject]:
    for one in azure.policy_assignments:
        properties = one["properties"]
        is_below = f"{path}/".lower().startswith(f"{properties['scope']}/".lower())
        if is_below and _is_condition_met(properties["policyRule"]["if"], content):
            yield one


def _is_condition_met(condition: JsonObject, content: JsonObject) -> bool:
    if "allOf" in condition:
        return all(_is_condition_met(one, content) for one in condition["allOf"])
    if "anyOf" in condition:
        return any(_is_condition_met(one, content) for one in condition["anyOf"])
    if "not" in condition:
        return not _is_condition_met(condition["not"], content)
    found = _read_field(content, condition["field"])
    (operator,) = condition.keys() - {"field"}
    return _OPERATORS[operator](found, condition[operator])


def _read_field(content: JsonObject, field: str) -> object:
    """Return a member of a resource by the name that a condition uses: `tags.x` or an alias."""
    if tag := _TAG.fullmatch(field):
        return (content.get("tags") or {}).get(tag["name"])
    if field.lower().startswith(f"{content['type']}/".lower()):
        found: object = content.get("properties")
        for name in field[len(content["type"]) + 1 :].split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found
    return content.get(field)


def _fold_case(value: object) -> str:
    return str(value).lower()
