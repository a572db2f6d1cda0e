"""Read the access restrictions of App Service and Functions apps.

See platform.md#firewall-resources.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from shared.domain.clouds import PUBLIC
from shared.domain.definitions.json_values import (
    as_mapping,
    mapping_at,
    objects_at,
    text_at,
)
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction, build_unread_rules
from shared.domain.network.firewall_fix import (
    AddedEntries,
    FirewallFix,
    ListEntries,
    ListUpdate,
    build_rule_name,
    build_unavailable_fix,
    explain_full_list,
    explain_unknown_order,
    find_free_priority,
)
from shared.domain.network.firewall_fix_text import (
    ResourceIdParts,
    TerraformBlock,
    format_az_command,
    format_bicep_children,
    format_terraform_part,
)
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.host_matching import ClaimedHosts, is_microsoft_host
from shared.domain.permissions import FIREWALL_GROUP, RequiredPermissions
from shared.errors import Conflict, JobBlocked
from shared.firewalls.azure_resources import AzureResources, read_children_of_each
from shared.ports import ResourceWriter
from shared.reason import Reason

RESOURCE_TYPE = "Microsoft.Web/sites"
API_VERSION = "2023-12-01"
#: Priority of the platform's rule for all other addresses.
_DEFAULT_RULE_PRIORITY = 2147483647
#: Priority of the first rule, as the portal proposes it.
_FIRST_PRIORITY = 300
#: Members of a restriction that the app writes.
_WRITTEN = ("name", "ipAddress", "tag", "action", "priority")
#: Most rules of a site.
MAX_RULES = 512


class AppServices(AzureResources):
    """The firewall kind of App Service and Functions apps."""

    kind = "app_service"
    resource_type = RESOURCE_TYPE
    required_permissions = RequiredPermissions(
        fix=FIREWALL_GROUP,
        role="firewalls",
        resource_type="Microsoft.Web/sites",
        actions=("Microsoft.Web/sites/config/write",),
    )

    async def read(self) -> list[Firewall]:
        """Return the firewalls of each app and of its deployment site."""
        return await self._read_sites(await self._resources.list(RESOURCE_TYPE, API_VERSION))

    async def read_for_hosts(self, hosts: Collection[str]) -> list[Firewall]:
        sites = await self._resources.list(RESOURCE_TYPE, API_VERSION)
        return await self._read_sites(site for site in sites if _serves_any_host(site, hosts))

    async def _read_sites(self, sites: Iterable[Mapping[str, object]]) -> list[Firewall]:
        configured = await read_children_of_each(sites, self._read_config)
        return [read(*one) for one in configured for read in (parse_site, parse_scm_site)]

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        site = await self._resources.get(issue.resource_id, API_VERSION)
        config = await self._read_config(issue.resource_id)
        properties = mapping_at(config, "properties")
        is_scm = issue.part == "scm" and not properties.get("scmIpSecurityRestrictionsUseMain")
        member = f"{'scmIp' if is_scm else 'ip'}SecurityRestrictions"
        there = [
            one
            for one in objects_at(properties, member)
            if one.get("priority") != _DEFAULT_RULE_PRIORITY
        ]
        if no_fix_reason := explain_unknown_order(
            issue, ((one.get("name"), one.get("priority")) for one in there)
        ):
            return no_fix_reason
        taken = [_parse_priority(one) for one in there]
        denying = [
            _parse_priority(one)
            for one in there
            if _format_title(one) in issue.rules and str(one.get("action")).lower() == "deny"
        ]
        before = min(
            denying, default=max(taken, default=_FIRST_PRIORITY - 1) + len(issue.missing_tags) + 1
        )
        named = {_format_title(one): one for one in there}
        new: list[dict[str, object]] = []
        for tag in issue.missing_tags:
            same = named.get(build_rule_name(tag))
            priority = _parse_priority(same) if same else find_free_priority(taken, before, 1)
            if priority is None:
                return build_unavailable_fix(
                    issue, f"priority_taken: no priority below {before} is free"
                )
            taken.append(priority)
            rule = {
                "name": build_rule_name(tag),
                "ipAddress": tag,
                "tag": "ServiceTag",
                "action": "Allow",
                "priority": priority,
            }
            # A rule that already allows the tag was added after the issue was found.
            if same and (_format_entry(same) != _format_entry(rule) or priority > before):
                name = rule["name"]
                return build_unavailable_fix(
                    issue, f"name_taken: {issue.resource_name} has a different rule named {name}"
                )
            new.append(rule)
        return explain_full_list(issue, len(there), len(new), MAX_RULES) or FirewallFix(
            issue=issue.name,
            summary=(
                f"allow {', '.join(issue.missing_tags)} on {issue.firewall_name}, each with a "
                "restriction"
            ),
            azure_cli="\n".join(_format_command(issue, site, one, is_scm=is_scm) for one in new),
            bicep=format_bicep_children(
                f"{RESOURCE_TYPE}/config@{API_VERSION}",
                issue.resource_name,
                {"web": {member: [*there, *new]}},
            ),
            terraform=format_terraform_part(
                _get_terraform_type(site),
                issue.resource_name,
                TerraformBlock(
                    "site_config", body=[_build_terraform_block(one, is_scm=is_scm) for one in new]
                ),
            ),
            added_entries=AddedEntries(
                resource_id=issue.resource_id,
                list_name=member,
                entries=tuple(map(_format_entry, new)),
            ),
        )

    async def read_list(self, opening: AddedEntries) -> ListEntries:
        """Return the access restrictions of a site, with only the members that the app writes."""
        there = await self._read_restrictions(opening)
        texts = frozenset(map(_format_entry, there))
        return ListEntries(texts=texts, etag=json.dumps(there, sort_keys=True))

    async def update_list(
        self, writer: ResourceWriter, opening: AddedEntries, change: ListUpdate
    ) -> Sequence[str]:
        """Replace the access restrictions of a site, which have no ETag.

        They are read again first. A change between that read and the write is lost
        (docs/network.md). Raises `JobBlocked` if no restriction would remain.
        """
        there = await self._read_restrictions(opening)
        if json.dumps(there, sort_keys=True) != change.present.etag:
            raise Conflict(f"{opening.list_name} of {opening.resource_id} has changed")
        kept = [one for one in there if _format_entry(one) not in change.remove]
        if not kept and not change.add:
            raise JobBlocked(
                "It is the only restriction, and a site without restrictions may be open to all.",
                fix="Add another restriction first, or remove this one yourself.",
                code=Reason.FIREWALL_FIX_FAILED,
            )
        listed = [*kept, *map(json.loads, change.add)]
        body = {"properties": {opening.list_name: listed}}
        await writer.patch(f"{opening.resource_id}/config/web", API_VERSION, body)
        return change.add

    async def _read_restrictions(self, opening: AddedEntries) -> list[Mapping[str, object]]:
        config = await self._read_config(opening.resource_id)
        listed = objects_at(mapping_at(config, "properties"), opening.list_name)
        return [one for one in listed if _parse_priority(one) != _DEFAULT_RULE_PRIORITY]

    async def _read_config(self, site_id: str) -> Mapping[str, object]:
        return await self._resources.get(site_id, API_VERSION, "/config/web")


def parse_site(site: Mapping[str, object], config: Mapping[str, object]) -> Firewall:
    """Return the firewall of a site from its resource and its `config/web`."""
    properties = mapping_at(config, "properties")
    name = text_at(site, "name") or ""
    whole = Firewall(
        kind=AppServices.kind,
        id=text_at(site, "id") or name,
        name=name,
        hosts=frozenset(host for host in _list_site_hosts(site) if not _is_scm_host(host)),
        rules=(),
        default=RuleAction.DENY,
    )
    if _is_closed(site, properties):
        return replace(whole, denies_all_public_access=True)
    return _with_restrictions(whole, properties, "ip")


def parse_scm_site(site: Mapping[str, object], config: Mapping[str, object]) -> Firewall:
    """Return the firewall of a site's deployment site.

    With `scmIpSecurityRestrictionsUseMain`, it has the restrictions of the site.
    """
    properties = mapping_at(config, "properties")
    main = parse_site(site, config)
    scm = replace(
        main,
        id=f"{main.id}#scm",
        name=f"{main.name} (scm)",
        hosts=frozenset(filter(_is_scm_host, _list_site_hosts(site))) or _derive_scm_hosts(main),
    )
    if properties.get("scmIpSecurityRestrictionsUseMain") or _is_closed(site, properties):
        return scm
    return _with_restrictions(scm, properties, "scmIp")


def _serves_any_host(site: Mapping[str, object], hosts: Collection[str]) -> bool:
    claimed = ClaimedHosts([parse_site(site, {}), parse_scm_site(site, {})])
    return any(host in claimed for host in hosts)


def _with_restrictions(
    firewall: Firewall, properties: Mapping[str, object], prefix: str
) -> Firewall:
    """Return the firewall with its restrictions.

    `prefix` is `ip` for the site, and `scmIp` for its deployment site.
    """
    member = f"{prefix}SecurityRestrictions"
    listed = properties.get(member)
    if not isinstance(listed, list | None):
        return replace(firewall, rules=build_unread_rules(member, listed))
    rules = sorted(map(as_mapping, listed or ()), key=_parse_priority)
    own = [rule for rule in rules if rule.get("priority") != _DEFAULT_RULE_PRIORITY]
    action = (text_at(properties, f"{member}DefaultAction") or "").lower()
    # As configured; by default other addresses are denied if there is any rule.
    is_denied = action == "deny" if action in {"allow", "deny"} else bool(own)
    return replace(
        firewall,
        rules=tuple(_parse_rules(rules)),
        default=RuleAction.DENY if is_denied else RuleAction.ALLOW,
    )


def _parse_rules(rules: list[Mapping[str, object]]) -> Iterator[FirewallRule]:
    for rule in rules:
        access = (text_at(rule, "action") or "allow").lower()
        is_allow = access == "allow"
        # A rule for a subnet matches only traffic from inside a network, where no flow is.
        if text_at(rule, "vnetSubnetResourceId"):
            continue
        narrows = bool(as_mapping(rule.get("headers")))
        is_proxy = (text_at(rule, "tag") or "").lower() == "xffproxy"
        yield FirewallRule(
            name=_format_title(rule),
            action=RuleAction.ALLOW if is_allow else RuleAction.DENY,
            sources=_parse_sources(text_at(rule, "ipAddress") or ""),
            is_certain=not narrows and not is_proxy and not isinstance(rule.get("priority"), str),
        )


def _format_title(rule: Mapping[str, object]) -> str:
    return text_at(rule, "name") or f"priority {_parse_priority(rule)}"


def _format_entry(rule: Mapping[str, object]) -> str:
    own = {member: rule[member] for member in _WRITTEN if rule.get(member)}
    return json.dumps(own, sort_keys=True)


def _is_function_app(site: Mapping[str, object]) -> bool:
    return "functionapp" in (text_at(site, "kind") or "").lower()


def _format_command(
    issue: FirewallIssue, site: Mapping[str, object], rule: Mapping[str, object], *, is_scm: bool
) -> str:
    options = {
        **ResourceIdParts.parse(issue.resource_id).options,
        "name": issue.resource_name,
        "rule-name": rule["name"],
        "action": rule["action"],
        "priority": rule["priority"],
        "service-tag": rule["ipAddress"],
    }
    app = "functionapp" if _is_function_app(site) else "webapp"
    scm = [("scm-site", "true")] if is_scm else []
    return format_az_command(f"{app} config access-restriction add", options, *scm)


def _get_terraform_type(site: Mapping[str, object]) -> str:
    system = "linux" if "linux" in (text_at(site, "kind") or "").lower() else "windows"
    return f"azurerm_{system}_{'function' if _is_function_app(site) else 'web'}_app"


def _build_terraform_block(rule: Mapping[str, object], *, is_scm: bool) -> TerraformBlock:
    members = {"name": "name", "service_tag": "ipAddress", "action": "action"}
    body = [(name, rule[member]) for name, member in members.items()]
    kind = "scm_ip_restriction" if is_scm else "ip_restriction"
    return TerraformBlock(kind, body=[*body, ("priority", rule["priority"])])


def _parse_sources(address: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in address.split(",") if part.strip())


def _is_closed(site: Mapping[str, object], properties: Mapping[str, object]) -> bool:
    """Return whether public access is off, so that the restrictions have no effect."""
    shown = (mapping_at(site, "properties"), properties)
    return any((text_at(part, "publicNetworkAccess") or "").lower() == "disabled" for part in shown)


def _list_site_hosts(site: Mapping[str, object]) -> set[str]:
    properties = mapping_at(site, "properties")
    names: list[object] = [properties.get("defaultHostName")]
    for member in ("hostNames", "enabledHostNames"):
        listed = properties.get(member)
        names += listed if isinstance(listed, list) else []
    return {name.lower() for name in names if isinstance(name, str) and name}


def _is_scm_host(host: str) -> bool:
    return host.split(".")[1:2] == ["scm"] and is_microsoft_host(host)


def _derive_scm_hosts(main: Firewall) -> frozenset[str]:
    own = [host for host in main.hosts if is_microsoft_host(host)]
    own = own or [f"{main.name}.{PUBLIC.app_service_domain}"]
    return frozenset(host.replace(".", ".scm.", 1) for host in own)


def _parse_priority(rule: Mapping[str, object]) -> int:
    priority = rule.get("priority")
    if isinstance(priority, str):
        return 0  # computed by the template: count it as the first, to be safe
    return priority if isinstance(priority, int) else _DEFAULT_RULE_PRIORITY
