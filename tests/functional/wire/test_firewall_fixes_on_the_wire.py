"""Test fixes of firewalls that Microsoft's client `azure-mgmt-network` writes and reads.

No firewall comes from the tenant's seed.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.network.aio import NetworkManagementClient

from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import JobBlocked
from shared.use_cases.manage_firewall_fixes import (
    FirewallFixInput,
    apply_fix,
    propose_fixes,
    revert_fix,
)
from tests.functional.wire.wire_scenario import WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import SUBSCRIPTION, build_orders_seed, build_tenant_seed
from tests.local_cloud.tenant.azure_world import Credential
from tests.local_cloud.tenant.tenant_world import HTTP, build_definition, build_http_action

RESOURCE_GROUP = "rg-network"
EDGE_HOST, ERP_HOST = "edge.westeurope.cloudapp.azure.com", "erp.contoso.example"
ADDRESS, LOCATION = "203.0.113.10", "westeurope"
TODAY = ["13.69.71.160/27", "13.69.231.160/27"]


async def create_firewall(network: Any) -> None:
    group_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    place = f"{group_id}/providers/Microsoft.Network"
    await (
        await network.public_ip_addresses.begin_create_or_update(
            RESOURCE_GROUP,
            "edge-ip",
            {
                "location": LOCATION,
                "properties": {"ipAddress": ADDRESS, "dnsSettings": {"fqdn": EDGE_HOST}},
            },
        )
    ).result()
    await (
        await network.ip_groups.begin_create_or_update(
            RESOURCE_GROUP,
            "flows",
            {
                "location": LOCATION,
                "tags": {"team": "edge"},
                "properties": {"ipAddresses": TODAY},
            },
        )
    ).result()
    await (
        await network.firewall_policies.begin_create_or_update(
            RESOURCE_GROUP, "edge-policy", {"location": LOCATION}
        )
    ).result()
    rule = {
        "ruleType": "NatRule",
        "name": "orders",
        "ipProtocols": ["TCP"],
        "sourceIpGroups": [f"{place}/ipGroups/flows"],
        "destinationAddresses": [ADDRESS],
        "destinationPorts": ["443"],
        "translatedAddress": "10.0.1.4",
        "translatedPort": "8443",
    }
    collection = {
        "ruleCollectionType": "FirewallPolicyNatRuleCollection",
        "name": "published",
        "priority": 100,
        "action": {"type": "DNAT"},
        "rules": [rule],
    }
    properties = {"priority": 200, "ruleCollections": [collection]}
    await (
        await network.firewall_policy_rule_collection_groups.begin_create_or_update(
            RESOURCE_GROUP, "edge-policy", "inbound", {"properties": properties}
        )
    ).result()
    configuration = {"publicIPAddress": {"id": f"{place}/publicIPAddresses/edge-ip"}}
    await (
        await network.azure_firewalls.begin_create_or_update(
            RESOURCE_GROUP,
            "edge",
            {
                "location": LOCATION,
                "properties": {
                    "firewallPolicy": {"id": f"{place}/firewallPolicies/edge-policy"},
                    "ipConfigurations": [{"name": "public", "properties": configuration}],
                },
            },
        )
    ).result()


async def create_security_group(network: Any) -> None:
    rule = {
        "name": "flows",
        "properties": {
            "access": "Allow",
            "direction": "Inbound",
            "priority": 100,
            "protocol": "Tcp",
            "sourceAddressPrefix": "LogicApps",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "443",
        },
    }
    await (
        await network.network_security_groups.begin_create_or_update(
            RESOURCE_GROUP,
            "nsg-erp",
            {
                "location": LOCATION,
                "tags": {"cmkflow-hosts": ERP_HOST},
                "properties": {"securityRules": [rule]},
            },
        )
    ).result()


def build_network_client(scenario: WireScenario) -> Any:
    """Return Microsoft's client for networks, connected to the tenant. Its types do not show that
    it accepts JSON instead of models, hence `Any`.
    """
    options: dict[str, Any] = {
        "proxies": {"https": scenario.server.proxy_url},
        "connection_verify": scenario.server.ca_file,
        "retry_total": 0,
    }
    return NetworkManagementClient(Credential(scenario.tenant), SUBSCRIPTION, **options)


async def test_fixes_of_sdk_written_firewalls_are_applied_and_reverted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = build_definition(HTTP, build_http_action(f"https://{EDGE_HOST}/orders"))
    content["actions"]["Erp"] = build_http_action(f"https://{ERP_HOST}/orders")["Call"]
    flow = build_orders_seed(definition=content)
    async with (
        serve_wire_scenario(monkeypatch, tmp_path, build_tenant_seed(flow)) as scenario,
        build_network_client(scenario) as network,
    ):
        await create_firewall(network)
        await create_security_group(network)
        await scenario.order()
        blocked = await scenario.read_job()
        shown = await propose_fixes(scenario.services)

        for name in ("edge", "nsg-erp"):
            await apply_fix(scenario.services, FirewallFixInput(resource=name, requested_by="ops"))
        opened = await network.ip_groups.get(RESOURCE_GROUP, "flows")
        group = await network.network_security_groups.get(RESOURCE_GROUP, "nsg-erp")
        await scenario.retry()
        moved = await scenario.read_job()
        with pytest.raises(JobBlocked, match="still call through this firewall"):
            await revert_fix(
                scenario.services, FirewallFixInput(resource="edge", requested_by="ops")
            )
        for name in ("edge", "nsg-erp"):
            wish = FirewallFixInput(resource=name, requested_by="ops", force=True)
            await revert_fix(scenario.services, wish)
        closed = await network.ip_groups.get(RESOURCE_GROUP, "flows")
        group_after = await network.network_security_groups.get(RESOURCE_GROUP, "nsg-erp")

    assert blocked.reason_code == "firewall_denies"
    assert {one.issue.resource_name for one in shown} == {"edge", "nsg-erp"}
    assert opened.ip_addresses is not None
    assert opened.ip_addresses[:2] == TODAY
    assert "20.61.88.128/26" in opened.ip_addresses
    assert (opened.location, opened.tags) == (LOCATION, {"team": "edge"})
    rules = {rule.name: rule for rule in group.security_rules or ()}
    assert sorted(rules) == ["cmk-PPPlex.NorthEurope", "cmk-PPPlex.WestEurope", "flows"]
    assert rules["cmk-PPPlex.WestEurope"].source_address_prefix == "PowerPlatformPlex.WestEurope"
    assert moved.state is FlowJobState.RETIRED
    assert closed.ip_addresses == TODAY
    assert [rule.name for rule in group_after.security_rules or ()] == ["flows"]


async def test_fix_keeps_a_concurrent_change_of_an_ip_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flow = build_orders_seed(
        definition=build_definition(HTTP, build_http_action(f"https://{EDGE_HOST}/orders"))
    )
    async with (
        serve_wire_scenario(monkeypatch, tmp_path, build_tenant_seed(flow)) as scenario,
        build_network_client(scenario) as network,
    ):
        await create_firewall(network)
        writer = scenario.services.resource_writer
        puts = 0

        class EditFirst:
            async def put(self, *arguments: Any, **named: Any) -> None:
                nonlocal puts
                puts += 1
                if puts == 1:
                    more = [*TODAY, "198.51.100.7"]
                    body = {"location": LOCATION, "properties": {"ipAddresses": more}}
                    pending = await network.ip_groups.begin_create_or_update(
                        RESOURCE_GROUP, "flows", body
                    )
                    await pending.result()
                await writer.put(*arguments, **named)

        services = replace(scenario.services, resource_writer=EditFirst())  # type: ignore[arg-type]
        await apply_fix(services, FirewallFixInput(resource="edge", requested_by="ops"))
        opened = await network.ip_groups.get(RESOURCE_GROUP, "flows")

    assert puts == 2
    assert opened.ip_addresses is not None
    assert "198.51.100.7" in opened.ip_addresses
    assert "20.61.88.128/26" in opened.ip_addresses
