"""Propose a change of Azure Firewall that allows the missing addresses.

The smallest change adds prefixes to an existing IP group. It is possible only if no other rule uses
the group, because every rule with that group would allow or deny them too. Otherwise the change is
a new group, and a new rule like the one that allows the destination.
"""

import json
from collections.abc import Collection, Mapping, Sequence

from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.network.azure_firewall import TrafficRule
from shared.domain.network.firewall import RuleAction
from shared.domain.network.firewall_fix import (
    PREFIX,
    AddedEntries,
    FirewallFix,
    build_unavailable_fix,
    describe_added_prefixes,
    explain_full_list,
)
from shared.domain.network.firewall_fix_text import (
    RawText,
    ResourceIdParts,
    TerraformBlock,
    fill_id_placeholders,
    format_az_command,
    format_bicep_children,
    format_bicep_part,
    format_bicep_resource,
    format_extension_comment,
    format_identifier,
    format_terraform,
    format_terraform_set,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.matching import HTTPS, includes_every_destination

type Document = Mapping[str, object]
#: Rule collection group, collection and name of a rule.
type User = tuple[str, str, str]

#: Most addresses, ranges and prefixes in an IP group.
MAX_IP_GROUP_ENTRIES = 5000
_GROUP = "Microsoft.Network/ipGroups"
_BESIDE = "One part of the resource: add the rule to the same collection in yours."
_ONE_BY_ONE = (
    "if your group has a list of cidrs, add them there instead: Terraform allows only one of both"
)


def propose_azure_firewall_fix(
    issue: FirewallIssue,
    rules: Sequence[TrafficRule],
    users: Mapping[str, Collection[User]],
    groups: Mapping[str, Document],
    version: str,
) -> FirewallFix:
    """Return the fix for one destination behind a firewall.

    `rules` are those for the destination, in order. `users` contains the rules of all firewalls
    that use an IP group, and `groups` the IP groups, both by lower-case id.
    """
    leading = [rule for rule in rules if rule.access is RuleAction.ALLOW]
    # A rule for exactly this destination before those that may match it.
    leading.sort(key=lambda rule: ", ".join(rule.destinations) != issue.part)
    if not leading:
        return build_unavailable_fix(
            issue,
            "no_way_in: no rule allows HTTPS to this destination, so there is no rule to extend",
        )
    denying = [
        rule for rule in rules if rule.access is RuleAction.DENY and rule.name in issue.rules
    ]
    is_published = any(rule.translated for rule in leading)
    if denying and not is_published:
        return build_unavailable_fix(
            issue,
            f"denied_first: remove the addresses from {denying[0].name}, which applies first",
        )
    notes = tuple(f"{rule.name} may still deny them: remove them from it too." for rule in denying)
    own = {(rule.place, rule.collection, rule.name) for rule in leading}
    for one in (group for rule in leading for group in rule.ip_groups):
        is_alone = one in groups and set(users.get(one, ())) <= own
        # A list from a template's parameter is not in the template, so nothing can be added to it.
        if (
            is_alone
            and _is_used_only_by(groups[one], leading[0])
            and _find_group_addresses(groups[one]) is not None
        ):
            return _propose_group_entries(issue, groups[one], version, notes)
    return _propose_group_and_rule(issue, leading[0], version, notes)


def _find_group_addresses(group: Document) -> list[object] | None:
    listed = mapping_at(group, "properties").get("ipAddresses")
    return listed if isinstance(listed, list) else None


def _is_used_only_by(group: Document, rule: TrafficRule) -> bool:
    """Return whether Azure shows no firewall or policy that uses the group, except the rule's
    own.
    """
    properties = mapping_at(group, "properties")
    listed = [properties.get(member) or () for member in ("firewalls", "firewallPolicies")]
    ids = [
        (text_at(one, "id") or "").lower()
        for users in listed
        if isinstance(users, list)
        for one in users
    ]
    policies = [one for one in ids if "/firewallpolicies/" in one]
    if "/firewallpolicies/" in rule.place.lower():
        return all(f"{rule.place.lower()}/".startswith(f"{one}/") for one in policies)
    return not policies and all(one == rule.place.lower() for one in ids)


def _propose_group_entries(
    issue: FirewallIssue, group: Document, version: str, notes: tuple[str, ...]
) -> FirewallFix:
    there = [*map(str, _find_group_addresses(group) or ())]
    group_id = text_at(group, "id") or ""
    name = ResourceIdParts.parse(group_id)
    new, own = issue.missing_prefixes, name.names[-1]
    more = {member: group[member] for member in ("location", "tags") if group.get(member)}
    block = TerraformBlock(
        "resource",
        ("azurerm_ip_group_cidr", format_identifier(own)),
        [
            _ONE_BY_ONE,
            ("for_each", format_terraform_set(new)),
            ("ip_group_id", fill_id_placeholders(group_id)),
            ("cidr", RawText("each.value")),
        ],
    )
    return explain_full_list(issue, len(there), len(new), MAX_IP_GROUP_ENTRIES) or FirewallFix(
        issue=issue.name,
        summary=f"{describe_added_prefixes(issue)}, in the IP group {own}",
        # Unlike `az network ip-group`, this command needs no extension.
        azure_cli=format_az_command(
            "resource update",
            {"ids": fill_id_placeholders(group_id), "add": ["properties.ipAddresses", *new]},
        ),
        bicep=format_bicep_part(
            f"{_GROUP}@{version}", own, {"ipAddresses": [*there, *new]}, **more
        ),
        terraform=format_terraform(block),
        notes=notes,
        added_entries=AddedEntries(resource_id=group_id, entries=tuple(map(json.dumps, new))),
    )


def _propose_group_and_rule(
    issue: FirewallIssue, rule: TrafficRule, version: str, notes: tuple[str, ...]
) -> FirewallFix:
    place, group = ResourceIdParts.parse(rule.place), f"{PREFIX}{issue.resource_name}"[:80]
    scope = fill_id_placeholders(rule.place).partition("/providers/")[0]
    made = format_az_command(
        "network ip-group create",
        {**place.options, "name": group, "ip-addresses": issue.missing_prefixes},
    )
    bicep_group = format_bicep_resource(
        f"{_GROUP}@{version}",
        group,
        {"ipAddresses": issue.missing_prefixes},
        location=RawText("resourceGroup().location"),
    )
    terraform_group = TerraformBlock(
        "resource",
        ("azurerm_ip_group", format_identifier(group)),
        [
            ("name", group),
            ("resource_group_name", place.group),
            "location: that of the resource group",
            ("cidrs", issue.missing_prefixes),
        ],
    )
    commands = (
        format_extension_comment("ip-group", "azure-firewall"),
        made,
        _format_rule_command(rule, f"{scope}/providers/{_GROUP}/{group}"),
    )
    return FirewallFix(
        issue=issue.name,
        summary=(
            f"{describe_added_prefixes(issue)}, with a new IP group and a new rule beside "
            f"{rule.name}"
        ),
        azure_cli="\n".join(commands),
        bicep="\n".join(
            (
                bicep_group,
                _format_bicep_rule(rule, RawText(f"{format_identifier(group)}.id"), version),
            )
        ),
        terraform=format_terraform(
            terraform_group, _build_terraform_rule(rule, format_identifier(group))
        ),
        notes=(
            *notes,
            *_format_any_destination_note(rule),
            ("Only a person can make this change, because it is a new rule."),
        ),
    )


def _format_any_destination_note(rule: TrafficRule) -> tuple[str, ...]:
    if not includes_every_destination(rule.destinations):
        return ()
    return (f"{rule.name} allows any destination: enter the hosts that flows call instead.",)


def _is_policy_rule(rule: TrafficRule) -> bool:
    return "/rulecollectiongroups/" in rule.place.lower()


def _format_rule_name(rule: TrafficRule) -> str:
    return f"{PREFIX}{rule.name}"


def _build_rule_document(rule: TrafficRule, group_id: object) -> Document:
    is_policy = _is_policy_rule(rule)
    kinds = {"ruleType": "NatRule" if rule.translated else "NetworkRule"} if is_policy else {}
    document: dict[str, object] = {
        **kinds,
        "name": _format_rule_name(rule),
        "ipProtocols" if is_policy else "protocols": ["TCP"],
        "sourceIpGroups": [group_id],
        "destinationAddresses": [*rule.destinations],
        "destinationPorts": [str(HTTPS)],
    }
    if rule.translated:
        document["translatedAddress"] = rule.translated.addresses[0]
        document["translatedPort"] = str(rule.translated.port)
    return document


def _format_bicep_rule(rule: TrafficRule, group_id: RawText, version: str) -> str:
    place, rules = ResourceIdParts.parse(rule.place), [_build_rule_document(rule, group_id)]
    if not _is_policy_rule(rule):
        member = f"{'nat' if rule.translated else 'network'}RuleCollections"
        part = {member: [{"name": rule.collection, "properties": {"rules": rules}}]}
        kind = f"Microsoft.Network/azureFirewalls@{version}"
        return f"// {_BESIDE}\n{format_bicep_resource(kind, place.names[-1], part)}"
    filters = "Nat" if rule.translated else "Filter"
    collection: Document = {
        "ruleCollectionType": f"FirewallPolicy{filters}RuleCollection",
        "name": rule.collection,
        "rules": rules,
    }
    kind = f"Microsoft.Network/firewallPolicies/ruleCollectionGroups@{version}"
    parts: Mapping[str, Document] = {place.names[-1]: {"ruleCollections": [collection]}}
    return f"// {_BESIDE}\n{format_bicep_children(kind, place.names[0], parts)}"


def _format_rule_command(rule: TrafficRule, group_id: str) -> str:
    place, document = ResourceIdParts.parse(rule.place), _build_rule_document(rule, group_id)
    where: dict[str, object] = {**place.options, "collection-name": rule.collection}
    if _is_policy_rule(rule):
        command = "network firewall policy rule-collection-group collection rule add"
        where |= {"policy-name": place.names[0], "rule-collection-group-name": place.names[-1]}
        kind = {"rule-type": document["ruleType"], "ip-protocols": ["TCP"]}
    else:
        command = f"network firewall {'nat' if rule.translated else 'network'}-rule create"
        where |= {"firewall-name": place.names[-1]}
        kind = {"protocols": ["TCP"]}
    leading = {
        "source-ip-groups": [group_id],
        "destination-addresses": [*rule.destinations],
        "destination-ports": [str(HTTPS)],
    }
    if rule.translated:
        leading["translated-address"] = [rule.translated.addresses[0]]
        leading["translated-port"] = [str(rule.translated.port)]
    return format_az_command(command, {**where, "name": _format_rule_name(rule), **kind, **leading})


def _build_terraform_rule(rule: TrafficRule, group: str) -> TerraformBlock:
    is_policy, place = _is_policy_rule(rule), ResourceIdParts.parse(rule.place)
    word = "nat" if rule.translated else "network"
    destinations = ("destination_addresses", [*rule.destinations])
    if is_policy and rule.translated:
        destinations = ("destination_address", rule.destinations[0])  # type: ignore[assignment]
    body: list[tuple[str, object] | TerraformBlock | str] = [
        ("name", _format_rule_name(rule)),
        ("protocols", ["TCP"]),
        ("source_ip_groups", [RawText(f"azurerm_ip_group.{group}.id")]),
        destinations,
        ("destination_ports", [str(HTTPS)]),
    ]
    if rule.translated:
        body.append(("translated_address", rule.translated.addresses[0]))
        body.append(("translated_port", str(rule.translated.port)))
    own = TerraformBlock("rule", body=body)
    if not is_policy:
        kind = f"azurerm_firewall_{word}_rule_collection"
        return TerraformBlock(
            "resource", (kind, format_identifier(rule.collection)), ["beside its rules:", own]
        )
    collection = TerraformBlock(
        f"{word}_rule_collection",
        body=[("name", rule.collection), "beside its rules:", own],
    )
    kind = "azurerm_firewall_policy_rule_collection_group"
    return TerraformBlock("resource", (kind, place.label), ["beside its collections:", collection])
