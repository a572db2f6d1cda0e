"""Read and write Logic Apps (Consumption) as callers.

URLs are in definitions and parameters. See platform.md#logic-apps.
"""

from collections.abc import Iterator, Mapping

from shared.callers.whole_resource import WholeResourceCallers
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.permissions import RequiredPermissions

_SECURE_TYPES = frozenset({"securestring", "secureobject"})


class LogicAppCallers(WholeResourceCallers):
    """The caller kind of Logic Apps (Consumption)."""

    kind = "logic_app"
    noun = "logic app"
    properties_set_by_azure = frozenset(
        {"accessEndpoint", "changedTime", "createdTime", "provisioningState", "sku", "version"}
    )
    parts = ("definition", "parameters")
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="logic apps",
        role_purpose="Finds and replaces trigger URLs in logic apps (Consumption). "
        "Deletes nothing.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again. Check "
        "secure parameters yourself: Azure never returns their values.",
        resource_type="Microsoft.Logic/workflows",
        api_version="2019-05-01",
        actions=("Microsoft.Logic/workflows/read", "Microsoft.Logic/workflows/write"),
    )

    def find_unreadable_parts(self, properties: Mapping[str, object]) -> Iterator[str]:
        """Yield each secure parameter, whose value Azure does not return."""
        declared = mapping_at(mapping_at(properties, "definition"), "parameters")
        for name, declaration in declared.items():
            if (text_at(as_mapping(declaration), "type") or "").lower() in _SECURE_TYPES:
                yield f"secure parameter {name}"
