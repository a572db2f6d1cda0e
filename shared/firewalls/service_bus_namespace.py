"""Read the IP rules of Service Bus namespaces."""

from collections.abc import Sequence

from shared.domain.network.firewall_fix_text import TerraformBlock
from shared.firewalls.namespace_rules import NamespaceRules


class ServiceBusNamespaces(NamespaceRules):
    """The firewall kind of Service Bus."""

    kind = "service_bus_namespace"
    resource_type = "Microsoft.ServiceBus/namespaces"
    cli_group = "servicebus"
    terraform_type = "azurerm_servicebus_namespace"

    def build_rule_set_block(
        self, default_action: object, prefixes: Sequence[str]
    ) -> TerraformBlock:
        return TerraformBlock(
            "network_rule_set",
            body=[
                ("default_action", default_action),
                ("ip_rules", prefixes),
                "network_rules: unchanged",
            ],
        )
