"""How addresses get into Azure Firewall: by an IP group that is a source of the rule that leads on.

The smallest change is prefixes more in a group that already is, where no other rule names that
group: what is put into it is let in, or kept out, by every rule that does. Else it is a group of
its own, and a rule like the one that leads there.
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
    describe_added_prefixes,
    no_fix,
    no_fix_list_full,
)
from shared.domain.network.firewall_fix_text import (
    RawText,
    ResourceIdParts,
    TerraformBlock,
    az,
    bicep_children,
    bicep_part,
    bicep_resource,
    label,
    needs_extension,
    placed,
    terraform,
    toset,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.matching import HTTPS, leads_anywhere

type Document = Mapping[str, object]
#: Place, collection and name of a rule.
type User = tuple[str, str, str]

#: Addresses, ranges and prefixes that an IP group takes.
MOST = 5000
_GROUP = "Microsoft.Network/ipGroups"
_BESIDE = "One part of the resource: put the rule beside those of the same collection in yours."
_ONE_BY_ONE = "where a list of cidrs makes the group, add them there instead: both cannot be"


def propose_azure_firewall_fix(
    gap: FirewallIssue,
    rules: Sequence[TrafficRule],
    users: Mapping[str, Collection[User]],
    groups: Mapping[str, Document],
    version: str,
) -> FirewallFix:
    """Return the change for one place behind a firewall.

    `rules` are those about that place in their order, `users` the rules that name an IP group, of
    every firewall that is read, `groups` the IP groups, both by lower-case id.
    """
    leading = [rule for rule in rules if rule.access is RuleAction.ALLOW]
    # A rule about this very place before those that may lead there.
    leading.sort(key=lambda rule: ", ".join(rule.destinations) != gap.part)
    if not leading:
        return no_fix(gap, "no_way_in: no rule leads HTTPS there, so that none can be widened")
    denying = [rule for rule in rules if rule.access is RuleAction.DENY and rule.name in gap.rules]
    is_published = any(rule.translated for rule in leading)
    if denying and not is_published:
        return no_fix(gap, f"denied_first: take them out of {denying[0].name}, which comes before")
    notes = tuple(
        f"{rule.name} may refuse them all the same: take them out of it too." for rule in denying
    )
    own = {(rule.place, rule.collection, rule.name) for rule in leading}
    for one in (group for rule in leading for group in rule.ip_groups):
        is_alone = one in groups and set(users.get(one, ())) <= own
        # A list that a template's parameter gives is not written out: nothing can be put into it.
        if is_alone and _is_of(groups[one], leading[0]) and _members(groups[one]) is not None:
            return _wider(gap, groups[one], version, notes)
    return _another(gap, leading[0], version, notes)


def _members(group: Document) -> list[object] | None:
    listed = mapping_at(group, "properties").get("ipAddresses")
    return listed if isinstance(listed, list) else None


def _is_of(group: Document, rule: TrafficRule) -> bool:
    """Say whether Azure tells of no other firewall and no other policy that uses a group."""
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


def _wider(
    gap: FirewallIssue, group: Document, version: str, notes: tuple[str, ...]
) -> FirewallFix:
    there = [*map(str, _members(group) or ())]
    group_id = text_at(group, "id") or ""
    name = ResourceIdParts.of(group_id)
    new, own = gap.missing_prefixes, name.names[-1]
    more = {member: group[member] for member in ("location", "tags") if group.get(member)}
    block = TerraformBlock(
        "resource",
        ("azurerm_ip_group_cidr", label(own)),
        [
            _ONE_BY_ONE,
            ("for_each", toset(new)),
            ("ip_group_id", placed(group_id)),
            ("cidr", RawText("each.value")),
        ],
    )
    return no_fix_list_full(gap, len(there), len(new), MOST) or FirewallFix(
        gap=gap.name,
        summary=f"{describe_added_prefixes(gap)}, by the IP group {own}",
        # Unlike `az network ip-group`, this needs no extension.
        azure_cli=az(
            "resource update",
            {"ids": placed(group_id), "add": ["properties.ipAddresses", *new]},
        ),
        bicep=bicep_part(f"{_GROUP}@{version}", own, {"ipAddresses": [*there, *new]}, **more),
        terraform=terraform(block),
        notes=notes,
        opening=AddedEntries(resource_id=group_id, entries=tuple(map(json.dumps, new))),
    )


def _another(
    gap: FirewallIssue, rule: TrafficRule, version: str, notes: tuple[str, ...]
) -> FirewallFix:
    """Return a group of its own, and a rule like `rule` whose source it is."""
    place, group = ResourceIdParts.of(rule.place), f"{PREFIX}{gap.resource_name}"[:80]
    scope = placed(rule.place).partition("/providers/")[0]
    made = az(
        "network ip-group create",
        {**place.options, "name": group, "ip-addresses": gap.missing_prefixes},
    )
    bicep_group = bicep_resource(
        f"{_GROUP}@{version}",
        group,
        {"ipAddresses": gap.missing_prefixes},
        location=RawText("resourceGroup().location"),
    )
    terraform_group = TerraformBlock(
        "resource",
        ("azurerm_ip_group", label(group)),
        [
            ("name", group),
            ("resource_group_name", place.group),
            "location: that of the resource group",
            ("cidrs", gap.missing_prefixes),
        ],
    )
    commands = (
        needs_extension("ip-group", "azure-firewall"),
        made,
        _rule_command(rule, f"{scope}/providers/{_GROUP}/{group}"),
    )
    return FirewallFix(
        gap=gap.name,
        summary=(
            f"{describe_added_prefixes(gap)}, by an IP group of their own and a rule beside "
            f"{rule.name}"
        ),
        azure_cli="\n".join(commands),
        bicep=f"{bicep_group}\n{_rule_part(rule, RawText(f'{label(group)}.id'), version)}",
        terraform=terraform(terraform_group, _rule_block(rule, label(group))),
        notes=(*notes, *_anywhere(rule), "Only a person can make it: it is a rule of its own."),
    )


def _anywhere(rule: TrafficRule) -> tuple[str, ...]:
    if not leads_anywhere(rule.destinations):
        return ()
    return (f"{rule.name} leads anywhere: name what flows call as the destination.",)


def _is_of_policy(rule: TrafficRule) -> bool:
    return "/rulecollectiongroups/" in rule.place.lower()


def _rule_name(rule: TrafficRule) -> str:
    return f"{PREFIX}{rule.name}"


def _document(rule: TrafficRule, group_id: object) -> Document:
    is_policy = _is_of_policy(rule)
    kinds = {"ruleType": "NatRule" if rule.translated else "NetworkRule"} if is_policy else {}
    document: dict[str, object] = {
        **kinds,
        "name": _rule_name(rule),
        "ipProtocols" if is_policy else "protocols": ["TCP"],
        "sourceIpGroups": [group_id],
        "destinationAddresses": [*rule.destinations],
        "destinationPorts": [str(HTTPS)],
    }
    if rule.translated:
        document["translatedAddress"] = rule.translated.addresses[0]
        document["translatedPort"] = str(rule.translated.port)
    return document


def _rule_part(rule: TrafficRule, group_id: RawText, version: str) -> str:
    """Return the Bicep of the rule in the resource of its collection."""
    place, rules = ResourceIdParts.of(rule.place), [_document(rule, group_id)]
    if not _is_of_policy(rule):
        member = f"{'nat' if rule.translated else 'network'}RuleCollections"
        part = {member: [{"name": rule.collection, "properties": {"rules": rules}}]}
        kind = f"Microsoft.Network/azureFirewalls@{version}"
        return f"// {_BESIDE}\n{bicep_resource(kind, place.names[-1], part)}"
    filters = "Nat" if rule.translated else "Filter"
    collection: Document = {
        "ruleCollectionType": f"FirewallPolicy{filters}RuleCollection",
        "name": rule.collection,
        "rules": rules,
    }
    kind = f"Microsoft.Network/firewallPolicies/ruleCollectionGroups@{version}"
    parts: Mapping[str, Document] = {place.names[-1]: {"ruleCollections": [collection]}}
    return f"// {_BESIDE}\n{bicep_children(kind, place.names[0], parts)}"


def _rule_command(rule: TrafficRule, group_id: str) -> str:
    place, document = ResourceIdParts.of(rule.place), _document(rule, group_id)
    where: dict[str, object] = {**place.options, "collection-name": rule.collection}
    if _is_of_policy(rule):
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
    return az(command, {**where, "name": _rule_name(rule), **kind, **leading})


def _rule_block(rule: TrafficRule, group: str) -> TerraformBlock:
    """Return the rule in the resource of its collection, beside what stands there."""
    is_policy, place = _is_of_policy(rule), ResourceIdParts.of(rule.place)
    word = "nat" if rule.translated else "network"
    destinations = ("destination_addresses", [*rule.destinations])
    if is_policy and rule.translated:
        destinations = ("destination_address", rule.destinations[0])  # type: ignore[assignment]
    body: list[tuple[str, object] | TerraformBlock | str] = [
        ("name", _rule_name(rule)),
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
            "resource", (kind, label(rule.collection)), ["beside its rules:", own]
        )
    collection = TerraformBlock(
        f"{word}_rule_collection",
        body=[("name", rule.collection), "beside its rules:", own],
    )
    kind = "azurerm_firewall_policy_rule_collection_group"
    return TerraformBlock("resource", (kind, place.label), ["beside its collections:", collection])
