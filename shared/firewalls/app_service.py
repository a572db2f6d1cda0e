"""Reads the access restrictions of App Service and Functions apps (contract §9.4)."""

from collections.abc import Iterator, Mapping

from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.firewall import Access, Firewall, FirewallRule
from shared.errors import NotFound
from shared.ports import ResourceReader

RESOURCE_TYPE = "Microsoft.Web/sites"
API_VERSION = "2023-12-01"
#: Priority of the rule that the platform shows for "everything else".
_LAST = 2147483647


class AppServices:
    """Implements `FirewallKind`."""

    kind = "app_service"

    def __init__(self, resources: ResourceReader) -> None:
        """`resources` reads the watched subscriptions."""
        self._resources = resources

    async def read(self) -> list[Firewall]:
        """Return every app of the watched subscriptions, open ones too: they claim their hosts."""
        firewalls: list[Firewall] = []
        for site in await self._resources.list(RESOURCE_TYPE, API_VERSION):
            site_id = text_at(site, "id") or ""
            try:
                config = await self._resources.get(site_id, API_VERSION, "/config/web")
            except NotFound:
                continue  # deleted since it was listed
            firewalls.append(read_site(site, config))
        return firewalls


def read_site(site: Mapping[str, object], config: Mapping[str, object]) -> Firewall:
    """Return a site's restrictions from the site and its `config/web`."""
    properties = mapping_at(config, "properties")
    listed = properties.get("ipSecurityRestrictions")
    rules = [as_mapping(rule) for rule in listed] if isinstance(listed, list) else []
    rules.sort(key=_priority)
    own = [rule for rule in rules if _priority(rule) != _LAST]
    name = text_at(site, "name") or ""
    is_closed = _is_closed(site, properties)
    return Firewall(
        kind=AppServices.kind,
        id=text_at(site, "id") or name,
        name=name,
        hosts=_hosts(mapping_at(site, "properties")),
        rules=() if is_closed else tuple(_rules(rules)),
        default=Access.DENY if is_closed else _default(properties, bool(own)),
    )


def _rules(rules: list[Mapping[str, object]]) -> Iterator[FirewallRule]:
    for rule in rules:
        access = (text_at(rule, "action") or "allow").lower()
        is_allow = access == "allow"
        # A rule for a subnet matches what comes from inside a network: no flow does.
        if text_at(rule, "vnetSubnetResourceId"):
            continue
        narrows = bool(as_mapping(rule.get("headers")))
        is_proxy = (text_at(rule, "tag") or "").lower() == "xffproxy"
        yield FirewallRule(
            name=text_at(rule, "name") or f"priority {_priority(rule)}",
            access=Access.ALLOW if is_allow else Access.DENY,
            sources=_sources(text_at(rule, "ipAddress") or ""),
            is_certain=not narrows and not is_proxy,
        )


def _sources(address: str) -> tuple[str, ...]:
    """Split a rule's address: one tag, or up to eight prefixes with commas between."""
    return tuple(part.strip() for part in address.split(",") if part.strip())


def _default(properties: Mapping[str, object], has_rules: bool) -> Access:
    """Return what happens to others: as set, else denied as soon as there is any rule."""
    written = (text_at(properties, "ipSecurityRestrictionsDefaultAction") or "").lower()
    if written in {"allow", "deny"}:
        return Access(written)
    return Access.DENY if has_rules else Access.ALLOW


def _is_closed(site: Mapping[str, object], properties: Mapping[str, object]) -> bool:
    """Say whether public access is off as a whole: then no restriction matters."""
    shown = (mapping_at(site, "properties"), properties)
    return any((text_at(part, "publicNetworkAccess") or "").lower() == "disabled" for part in shown)


def _hosts(properties: Mapping[str, object]) -> frozenset[str]:
    names: list[object] = [properties.get("defaultHostName")]
    for member in ("hostNames", "enabledHostNames"):
        listed = properties.get(member)
        names += listed if isinstance(listed, list) else []
    return frozenset(name.lower() for name in names if isinstance(name, str) and name)


def _priority(rule: Mapping[str, object]) -> int:
    priority = rule.get("priority")
    return priority if isinstance(priority, int) else _LAST
