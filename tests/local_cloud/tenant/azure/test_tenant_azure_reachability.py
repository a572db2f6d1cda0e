from typing import Any

import pytest

from local_cloud.tenant.azure.network import build_security_rule
from local_cloud.tenant.azure.reachability import REFUSED, FlowOrigin, find_denial
from local_cloud.tenant.azure.site_runtime import put_configuration
from local_cloud.tenant.azure.state import SECURITY_GROUPS, Azure
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.seed.azure import seed_azure
from tests.local_cloud.tenant.azure_world import GROUP_OF_RULES_ID, SEED, SITE_ID

ERP = "erp.contoso.example"
SHOP = "shop.contoso.example"
ORIGINAL = FlowOrigin(region="westeurope", is_protected=False)
COPY = FlowOrigin(region="westeurope", is_protected=True)


@pytest.fixture
def azure() -> Azure:
    tenant = Tenant()
    seed_azure(tenant, SEED)
    return tenant.get_part(Azure)


def add_rule(azure: Azure, priority: int, access: str, *sources: str, port: str = "443") -> None:
    properties = {
        "access": access,
        "priority": priority,
        "direction": "Inbound",
        "protocol": "Tcp",
        "destinationPortRanges": [port],
        "sourceAddressPrefixes": list(sources),
    }
    group = azure.resources.find(SECURITY_GROUPS, GROUP_OF_RULES_ID)
    assert group is not None
    rule = build_security_rule(
        GROUP_OF_RULES_ID, {"name": f"r{priority}", "properties": properties}
    )
    group["properties"]["securityRules"].append(rule)


def set_restrictions(azure: Azure, *restrictions: dict[str, Any], **web: Any) -> None:
    put_configuration(azure, SITE_ID, "web", {"ipSecurityRestrictions": list(restrictions), **web})


def test_host_without_a_firewall_is_reachable(azure: Azure) -> None:
    assert find_denial(azure, "api.example.org", COPY) is None


def test_group_with_only_the_old_ranges_denies_the_copy(azure: Azure) -> None:
    """A copy calls from addresses other than those of its original."""
    refusal = find_denial(azure, ERP.upper(), COPY)

    assert find_denial(azure, ERP, ORIGINAL) is None
    assert refusal is not None
    assert refusal.resource_id == GROUP_OF_RULES_ID
    assert refusal.message == REFUSED
    assert "target machine actively refused it" in refusal.message


@pytest.mark.parametrize(
    "source",
    [
        "PowerPlatformPlex",
        "powerplatformplex.westeurope",
        "*",
        "Internet",
        "AzureCloud",
        "0.0.0.0/0",
    ],
)
def test_rule_for_the_new_ranges_allows_the_copy(azure: Azure, source: str) -> None:
    add_rule(azure, 110, "Allow", source)

    assert find_denial(azure, ERP, COPY) is None


def test_rule_with_all_prefixes_of_the_tag_allows_the_copy(azure: Azure) -> None:
    tag = azure.service_tags.find("PowerPlatformPlex.WestEurope")
    assert tag is not None

    add_rule(azure, 110, "Allow", *tag.address_prefixes)

    assert find_denial(azure, ERP, COPY) is None


def test_rule_without_one_prefix_denies_the_copy(azure: Azure) -> None:
    """A copy may call from any of the tag's ranges."""
    tag = azure.service_tags.find("PowerPlatformPlex.WestEurope")
    assert tag is not None

    add_rule(azure, 110, "Allow", *tag.address_prefixes[1:])

    assert find_denial(azure, ERP, COPY) is not None


def test_rule_for_another_region_denies_the_copy(azure: Azure) -> None:
    """A regional service tag has only the ranges of its region."""
    add_rule(azure, 110, "Allow", "PowerPlatformPlex.NorthEurope")

    assert find_denial(azure, ERP, COPY) is not None


def test_an_earlier_denying_rule_wins(azure: Azure) -> None:
    """The matching rule with the lowest priority number decides."""
    add_rule(azure, 110, "Allow", "PowerPlatformPlex")
    add_rule(azure, 105, "Deny", "20.61.88.130")

    assert find_denial(azure, ERP, COPY) is not None


def test_a_later_denying_rule_does_not_matter(azure: Azure) -> None:
    add_rule(azure, 110, "Allow", "PowerPlatformPlex")
    add_rule(azure, 120, "Deny", "*")

    assert find_denial(azure, ERP, COPY) is None


def test_rule_for_another_port_does_not_allow_the_copy(azure: Azure) -> None:
    """Flows call on port 443, unless their URL names another port."""
    add_rule(azure, 110, "Allow", "PowerPlatformPlex", port="8000-8100")

    assert find_denial(azure, ERP, COPY) is not None
    assert find_denial(azure, ERP, COPY, port=8080) is None


def test_a_site_without_restrictions_is_open(azure: Azure) -> None:
    """App Service allows everybody until a site has a rule."""
    assert find_denial(azure, SHOP, COPY) is None
    assert find_denial(azure, "shop.azurewebsites.net", COPY) is None


def test_a_site_with_a_rule_denies_everybody_else(azure: Azure) -> None:
    set_restrictions(azure, {"ipAddress": "LogicApps", "tag": "ServiceTag", "action": "Allow"})

    refusal = find_denial(azure, SHOP, COPY)

    assert find_denial(azure, SHOP, ORIGINAL) is None
    assert refusal is not None
    assert refusal.resource_id == SITE_ID


def test_access_restriction_may_have_a_tag_or_several_prefixes(azure: Azure) -> None:
    set_restrictions(
        azure,
        {"ipAddress": "203.0.113.1/32,198.51.100.0/24", "action": "Allow", "priority": 100},
        {"ipAddress": "PowerPlatformPlex.WestEurope", "tag": "ServiceTag", "priority": 200},
    )

    assert find_denial(azure, SHOP, COPY) is None


def test_the_default_action_of_a_site_can_be_to_allow(azure: Azure) -> None:
    set_restrictions(
        azure,
        {"ipAddress": "203.0.113.0/24", "action": "Deny", "priority": 100},
        ipSecurityRestrictionsDefaultAction="Allow",
    )

    assert find_denial(azure, SHOP, COPY) is None


def test_a_site_without_public_access_denies_everybody(azure: Azure) -> None:
    set_restrictions(azure, {"ipAddress": "Any"}, publicNetworkAccess="Disabled")

    assert find_denial(azure, SHOP, COPY) is not None


@pytest.mark.parametrize(
    ("destination", "is_let_in"),
    [("10.0.1.0/24", True), ("VirtualNetwork", True), ("10.0.1.4", True), ("10.0.2.0/24", False)],
)
def test_rule_applies_only_to_its_destination(
    azure: Azure, destination: str, is_let_in: bool
) -> None:
    add_rule(azure, 110, "Allow", "PowerPlatformPlex")
    group = azure.resources.find(SECURITY_GROUPS, GROUP_OF_RULES_ID)
    assert group is not None
    group["properties"]["securityRules"][-1]["properties"]["destinationAddressPrefix"] = destination

    assert (find_denial(azure, ERP, COPY) is None) is is_let_in


def test_region_missing_in_the_list_needs_the_whole_tag(azure: Azure) -> None:
    origin = FlowOrigin(region="francecentral", is_protected=True)
    add_rule(azure, 110, "Allow", "PowerPlatformPlex.WestEurope")
    refused = find_denial(azure, ERP, origin)

    add_rule(azure, 120, "Allow", "PowerPlatformPlex")

    assert refused is not None
    assert find_denial(azure, ERP, origin) is None
