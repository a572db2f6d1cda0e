"""Read the IP rules of Event Hubs namespaces."""

from collections.abc import Sequence

from shared.domain.network.firewall_fix_text import TerraformBlock
from shared.firewalls.namespace_rules import NamespaceRules


class EventHubsNamespaces(NamespaceRules):
    """The firewall kind of Event Hubs."""

    kind = "event_hubs_namespace"
    resource_type = "Microsoft.EventHub/namespaces"
    cli_group = "eventhubs"
    terraform_type = "azurerm_eventhub_namespace"

    def build_rule_set_block(
        self, default_action: object, prefixes: Sequence[str]
    ) -> TerraformBlock:
        rules = [
            TerraformBlock("ip_rule", body=[("ip_mask", one), ("action", "Allow")])
            for one in prefixes
        ]
        return TerraformBlock(
            "network_rulesets",
            body=[("default_action", default_action), *rules, "virtual_network_rule: unchanged"],
        )
