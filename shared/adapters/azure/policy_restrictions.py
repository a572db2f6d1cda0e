"""Ask Azure Policy, before a write, whether it would deny the write (platform.md#azure-policy)."""

from collections.abc import Mapping, Sequence

from shared.adapters.azure.resource_manager import ResourceManager
from shared.domain.definitions.json_values import mapping_at, objects_at, text_at
from shared.domain.permissions import get_parent_id, get_resource_group_id
from shared.errors import PlatformError
from shared.ports import PolicyRestrictions

_CHECK = "providers/Microsoft.PolicyInsights/checkPolicyRestrictions"
_VERSION = "2022-03-01"


class CheckedPolicyRestrictions(PolicyRestrictions):
    """Implements the port `PolicyRestrictions` with Azure Resource Manager."""

    def __init__(self, resources: ResourceManager) -> None:
        self._resources = resources

    async def find_denying_assignments(
        self, resource_id: str, content: Mapping[str, object], api_version: str
    ) -> Sequence[str]:
        details = {
            "resourceContent": content,
            "apiVersion": api_version,
            "scope": get_parent_id(resource_id),
        }
        path = f"{get_resource_group_id(resource_id)}/{_CHECK}"
        answer = await self._resources.send(
            "POST", path, _VERSION, body={"resourceDetails": details}
        )
        found: dict[str, None] = {}
        evaluated = mapping_at(answer, "contentEvaluationResult")
        for one in objects_at(evaluated, "policyEvaluations"):
            result = text_at(one, "evaluationResult") or "no result"
            if result != "NonCompliant":
                raise PlatformError("A policy was not evaluated", code=result, status=200)
            found[text_at(mapping_at(one, "policyInfo"), "policyAssignmentId") or "no id"] = None
        return [*found]
