"""Read the `ip-filter` policies of API Management services and of their APIs.

Policies of products and operations are not read (docs/network.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.concurrency import read_each
from shared.domain.definitions.json_values import as_mapping, mapping_at, text_at
from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall import Firewall, RuleAction
from shared.domain.network.firewall_fix import FirewallFix, describe_added_prefixes
from shared.domain.network.firewall_fix_text import fill_id_placeholders, format_az_command
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.ip_filter import (
    IpFilterPolicy,
    build_firewall_from_filters,
    parse_ip_filter_policy,
)
from shared.domain.network.ip_rules import build_firewall_with_ip_rules, build_open_firewall
from shared.errors import NotFound
from shared.firewalls.azure_resources import AzureResources

API_VERSION = "2022-08-01"
OPENED_BY = "An ip-filter accepts addresses and ranges, but no service tags and no prefixes."
_NO_POLICY = IpFilterPolicy(filters=(), has_base=True)


class ApiManagement(AzureResources):
    """The firewall kind of API Management."""

    kind = "api_management"
    resource_type = "Microsoft.ApiManagement/service"

    async def read(self) -> list[Firewall]:
        """Return the firewall of each service, and of APIs whose own policy changes its filters."""
        listed = await self._resources.list(self.resource_type, API_VERSION)
        found = await read_each(listed, self._read_service)
        return [firewall for service in found for firewall in service]

    async def _read_service(self, resource: Mapping[str, object]) -> list[Firewall]:
        service_id = text_at(resource, "id") or ""
        whole = build_open_service_firewall(resource)
        if whole.rules or whole.default is RuleAction.DENY:
            return [whole]
        try:
            apis = await self._resources.list_children(service_id, "apis", API_VERSION)
        except NotFound:
            return []  # deleted after it was listed
        common = await self._read_policy(service_id, whole.name)
        found = [build_firewall_from_filters(whole, [common])]

        async def read_own_policy(api: Mapping[str, object]) -> IpFilterPolicy:
            return await self._read_policy(text_at(api, "id") or "", text_at(api, "name") or "")

        for api, own in zip(apis, await read_each(apis, read_own_policy), strict=True):
            name = text_at(api, "name") or ""
            if own.filters or not own.has_base:
                part = replace(whole, id=f"{whole.id}#{name}", name=f"{whole.name} → {name}")
                found.append(
                    build_firewall_from_filters(part, [common, own] if own.has_base else [own])
                )
        return found

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        """Return a fix with the lines to add to an `ip-filter`.

        The fix omits the policy around these lines, which may contain secrets.
        """
        ends = [*AddressRanges.parse(issue.missing_prefixes).list_ends()]
        lines = [f'<address-range from="{first}" to="{last}" />' for first, last in ends]
        service_id = fill_id_placeholders(issue.resource_id)
        scope = f"{service_id}/apis/{issue.part}" if issue.part else service_id
        where = f'Add to <ip-filter action="allow"> in the policy of {scope}:'
        into = [where, *(f"  {line}" for line in lines)]
        return FirewallFix(
            issue=issue.name,
            summary=describe_added_prefixes(issue),
            azure_cli=_format_commands(scope, ends),
            bicep="".join(f"// {line}\n" for line in into),
            terraform="".join(f"# {line}\n" for line in into),
            notes=(
                "Compare policy.json with new-policy.json before you send it.",
                "The commands add the ranges to the first ip-filter with the action allow.",
                "A policy can hold secrets: delete both files afterwards.",
            ),
        )

    async def _read_policy(self, scope_id: str, name: str) -> IpFilterPolicy:
        try:
            policy = await self._resources.get(scope_id, API_VERSION, "/policies/policy")
        except NotFound:
            return _NO_POLICY
        return parse_ip_filter_policy(
            text_at(mapping_at(policy, "properties"), "value") or "", name
        )


def _format_commands(scope: str, ends: Iterable[tuple[str, str]]) -> str:
    """Return shell commands that add the ranges to the policy.

    The policy's file is JSON, so its quotation marks are escaped.
    """
    url = f"{scope}/policies/policy?api-version={API_VERSION}"
    reading = format_az_command("rest", {"method": "get", "url": f"{url}&format=rawxml"})
    writing = {"method": "put", "url": url, "headers": "If-Match=*", "body": "@new-policy.json"}
    ranges = "".join(
        rf'<address-range from=\\"{first}\\" to=\\"{last}\\" />' for first, last in ends
    )
    adding = rf's#<ip-filter action=\\"allow\\">#&{ranges}#'
    return "\n".join(
        (
            f"{reading} > policy.json",
            f"sed '{adding}' policy.json > new-policy.json",
            format_az_command("rest", writing),
        )
    )


def build_open_service_firewall(resource: Mapping[str, object]) -> Firewall:
    """Return the firewall of a service as if the service had no policy."""
    properties = mapping_at(resource, "properties")
    listed = properties.get("hostnameConfigurations")
    hosts = [properties.get("gatewayUrl")] + [
        as_mapping(one).get("hostName") for one in (listed if isinstance(listed, list) else ())
    ]
    open_one = build_open_firewall(ApiManagement.kind, resource, hosts, OPENED_BY)
    return build_firewall_with_ip_rules(open_one, properties.get("publicNetworkAccess"), None, None)
