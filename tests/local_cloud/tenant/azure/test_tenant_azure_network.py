import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.mgmt.network.aio import NetworkManagementClient
from azure.mgmt.network.models import SecurityRule, SecurityRulePropertiesFormat

from local_cloud.tenant.azure.service_tags import read_service_tags
from tests.local_cloud.tenant.azure_world import (
    GROUP,
    SUBSCRIPTION,
    AzureWorld,
    require_present,
)


@pytest.fixture
async def network(world: AzureWorld) -> AsyncIterator[NetworkManagementClient]:
    async with NetworkManagementClient(
        world.credential, SUBSCRIPTION, **world.client_options
    ) as client:
        yield client


async def test_security_groups_contain_their_rules_and_the_default_rules(
    network: NetworkManagementClient,
) -> None:
    """As in Azure, the last default rule of a group denies everything else."""
    [group] = [each async for each in network.network_security_groups.list_all()]

    [rule] = group.security_rules
    assert group.name == "nsg-erp"
    assert (rule.name, rule.source_address_prefix) == ("allow-flows", "LogicApps.WestEurope")
    assert group.default_security_rules[-1].name == "DenyAllInBound"


async def test_a_rule_can_be_added(network: NetworkManagementClient) -> None:
    properties = SecurityRulePropertiesFormat(
        access="Allow",
        priority=110,
        direction="Inbound",
        protocol="Tcp",
        source_address_prefixes=["PowerPlatformPlex.WestEurope"],
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_range="443",
    )

    poller = await network.security_rules.begin_create_or_update(
        GROUP, "nsg-erp", "allow-plex", SecurityRule(properties=properties)
    )
    await poller.result()

    group = await network.network_security_groups.get(GROUP, "nsg-erp")
    assert [each.name for each in group.security_rules] == ["allow-flows", "allow-plex"]
    added = group.security_rules[1]
    assert added.source_address_prefixes == ["PowerPlatformPlex.WestEurope"]
    assert added.source_address_prefix is None


async def test_service_tags_come_in_pages_with_numbers_as_strings(
    world: AzureWorld, network: NetworkManagementClient
) -> None:
    """A client that reads only the first page does not have all service tags."""
    world.azure.page_size = 3

    first = await network.service_tags.list("westeurope")
    second = await world.call("GET", require_present(first.next_link))

    plex = {tag.name: tag for tag in require_present(first.values_property)}
    properties = require_present(plex["PowerPlatformPlex.WestEurope"].properties)
    assert first.change_number == "376"
    assert properties.region == "westeurope"
    assert "20.61.88.128/26" in require_present(properties.address_prefixes)
    assert len(second.body["values"]) == 3


async def test_single_service_tag_can_be_requested(network: NetworkManagementClient) -> None:
    details = network.service_tag_information.list(
        "westeurope", tag_name="PowerPlatformPlex.UKSouth", no_address_prefixes=True
    )

    [tag] = [each async for each in details]
    properties = require_present(tag.properties)
    assert properties.system_service == "PowerPlatformPlex"
    assert properties.address_prefixes is None


def test_downloaded_service_tag_list_with_integers_is_read(tmp_path: Path) -> None:
    """Microsoft's file has integers where the API returns texts."""
    path = tmp_path / "ServiceTags_Public.json"
    properties = {
        "changeNumber": 5,
        "region": "westus",
        "systemService": "PowerPlatformPlex",
        "addressPrefixes": ["10.0.0.0/24"],
        "networkFeatures": ["API", "NSG"],
    }
    entry = {"name": "PowerPlatformPlex.WestUS", "id": "x", "properties": properties}
    path.write_text(json.dumps({"changeNumber": 371, "cloud": "Public", "values": [entry]}))

    tags = read_service_tags(path)

    tag = tags.find("powerplatformplex.westus")
    assert tags.change_number == "371"
    assert tag is not None
    assert tag.change_number == "5"


def test_file_that_is_not_a_service_tag_list_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"values": []}')

    with pytest.raises(ValueError, match=r"other\.json is not a list of service tags"):
        read_service_tags(path)


@pytest.mark.corpus
@pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set")
def test_published_service_tag_list_is_read_completely() -> None:
    [path] = Path(os.environ["FLOW_CORPUS"], "servicetags").glob("ServiceTags_Public_*.json")

    tags = read_service_tags(path)

    plex = [tag for tag in tags if tag.system_service == "PowerPlatformPlex"]
    assert len(plex) == 44
    assert len(tags) > 3000
