"""Read the IP rules of the namespaces of Event Hubs and of Service Bus, which have the same API."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.domain.definitions.json_values import mapping_at, objects_at
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import (
    FirewallFix,
    describe_added_prefixes,
    explain_full_list,
    format_rule_set_command,
)
from shared.domain.network.firewall_fix_text import (
    TerraformBlock,
    format_bicep_children,
    format_terraform_part,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_rules import MOST_RULES, build_namespace_firewall
from shared.firewalls.azure_resources import AzureResources, read_children_of_each

API_VERSION = "2024-01-01"


class NamespaceRules(AzureResources, ABC):
    """The base class of the firewall kinds of Event Hubs and Service Bus."""

    kind: ClassVar[str]
    resource_type: ClassVar[str]
    #: The group of its Azure CLI commands, and its Terraform type.
    cli_group: ClassVar[str]
    terraform_type: ClassVar[str]

    @abstractmethod
    def build_rule_set_block(
        self, default_action: object, prefixes: Sequence[str]
    ) -> TerraformBlock:
        """Return the namespace's rule set in Terraform, with these prefixes allowed."""

    async def read(self) -> list[Firewall]:
        listed = await self._resources.list(self.resource_type, API_VERSION)
        found = await read_children_of_each(listed, self._read_rule_set)
        return [build_namespace_firewall(self.kind, one, rules) for one, rules in found]

    async def _read_rule_set(self, namespace_id: str) -> Mapping[str, object]:
        return await self._resources.get(namespace_id, API_VERSION, "/networkRuleSets/default")

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        rule_set = await self._read_rule_set(issue.resource_id)
        rules = mapping_at(rule_set, "properties")
        there = objects_at(rules, "ipRules")
        if no_fix_reason := explain_full_list(
            issue, len(there), len(issue.missing_prefixes), MOST_RULES
        ):
            return no_fix_reason
        masks = [*(str(rule["ipMask"]) for rule in there), *issue.missing_prefixes]
        block = self.build_rule_set_block(rules.get("defaultAction"), masks)
        listed = [{"ipMask": one, "action": "Allow"} for one in masks]
        return FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=format_rule_set_command(self.cli_group, issue),
            bicep=format_bicep_children(
                f"{self.resource_type}/networkRuleSets@{API_VERSION}",
                issue.resource_name,
                {"default": {**rules, "ipRules": listed}},
            ),
            terraform=format_terraform_part(self.terraform_type, issue.resource_name, block),
        )
