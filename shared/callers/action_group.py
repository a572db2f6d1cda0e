"""Read and write Azure Monitor action groups as callers.

The URLs are those of webhook, logic app and Azure function receivers. See
platform.md#action-groups.
"""

from shared.callers.whole_resource import WholeResourceCallers
from shared.domain.permissions import RequiredPermissions


class ActionGroupCallers(WholeResourceCallers):
    """The caller kind of Azure Monitor action groups."""

    kind = "action_group"
    noun = "action group"
    parts = ("webhookReceivers", "logicAppReceivers", "azureFunctionReceivers")
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="action groups",
        role_purpose="Finds and replaces trigger URLs in Azure Monitor action groups. "
        "Deletes nothing.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
        resource_type="Microsoft.Insights/actionGroups",
        api_version="2023-01-01",
        actions=("Microsoft.Insights/actionGroups/read", "Microsoft.Insights/actionGroups/write"),
    )
