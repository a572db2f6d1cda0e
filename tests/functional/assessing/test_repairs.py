"""What closes a gap, for every kind: each text names what is missing, and closes it."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import hcl2
import pytest

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.firewall_decision import RuleSources, evaluate_rules
from shared.domain.network.firewall_fix import FirewallFix, no_fix_public_access_off
from shared.domain.network.firewall_issue import FirewallIssue, find_firewall_issue
from shared.domain.network.service_tags import ServiceTagList
from shared.firewalls import build_firewall_kinds
from tests.fakes.ports import fakes_of
from tests.fakes.test_world import World
from tests.kinds.bicep_values import declared
from tests.kinds.case import Json, resource
from tests.kinds.cases import FIREWALL_KINDS, firewall_case
from tests.kinds.firewalls import azure_firewall, key_vault, sql_server
from tests.kinds.firewalls.app_service import restriction, site, web_config
from tests.kinds.firewalls.network_security_group import security_group, security_rule
from tests.unit.uncovered import find_required_issues, tag_list

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
TAGS = tag_list(
    {
        WEST: ["20.61.88.128/26", "20.105.215.228/30", "20.105.215.232/31"],
        NORTH: ["4.207.189.192/26", "2603:1061:2004:7900::/56"],
        "LogicApps.WestEurope": ["13.69.71.0/25"],
        "LogicApps.NorthEurope": ["13.69.231.160/27"],
    }
)
#: What firewalls let in before.
LET_IN = ("LogicApps.WestEurope", "LogicApps.NorthEurope")
_ADDRESS = re.compile(r"(?<![\w.])\d+\.\d+\.\d+\.\d+(?:/\d+)?(?![\w.])")


class Estate:
    """Resources as Azure Resource Manager answers, and what is read of them."""

    def __init__(self, resources: Mapping[str, Json], hosts: Sequence[str | None] = ()) -> None:
        """By path."""
        self.resources = {path.lower(): deepcopy(one) for path, one in resources.items()}
        self.world = World()
        self.world.resources = self.resources  # type: ignore[assignment]
        self._hosts = [*hosts] or ["api.contoso.example"]

    async def find_issues(self) -> list[FirewallIssue]:
        """Return what firewalls lack for European flows."""
        kinds = build_firewall_kinds(fakes_of(self.world).ports.resources)
        found = [one for kind in kinds.values() for one in await kind.read()]
        return find_required_issues(found, "europe", self._hosts, TAGS)

    async def repair(self, gap: FirewallIssue) -> FirewallFix:
        """Return what closes one."""
        kinds = build_firewall_kinds(fakes_of(self.world).ports.resources)
        return no_fix_public_access_off(gap) or await kinds[gap.kind].propose_fix(gap)

    async def only_repair(self) -> FirewallFix:
        """Return what closes the only one."""
        [gap] = await self.find_issues()
        return await self.repair(gap)

    def deploy(self, bicep: str) -> None:
        """Do what a text says: resources as they are declared, parts in place of the same parts."""
        for one in declared(bicep):
            provider, *kinds = one.type.split("/")
            path = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, one.names, strict=True))
            there = self._at(f"/providers/{provider}/{path}")
            if there:
                there["properties"] = {**there["properties"], **one.properties}
            elif one.type.endswith("/securityRules"):
                group = self._at(f"/providers/{provider}/{kinds[0]}/{one.names[0]}")
                rule = {"name": one.names[-1], "properties": one.properties}
                group["properties"]["securityRules"].append(rule)
            else:
                new = resource(one.type, *one.names, properties=one.properties)
                self.resources[new["id"].lower()] = new
        self._widen_filters(
            "".join(re.findall(r"^// +(<address-range .*/>)$", bicep, re.MULTILINE))
        )

    def _at(self, path: str) -> Json:
        return next(
            (self.resources[one] for one in self.resources if one.endswith(path.lower())), {}
        )

    def _widen_filters(self, lines: str) -> None:
        policy = self._at("/policies/policy").get("properties", {"value": ""})
        policy["value"] = policy["value"].replace("</ip-filter>", f"{lines}</ip-filter>")


def estate(kind: str) -> Estate:
    """Return a firewall of a kind that lets the flows of today in."""
    case = firewall_case(kind)
    return Estate(case.resources(case.sources(LET_IN, TAGS)))


def found(tags: ServiceTagList, name: str) -> tuple[str, ...]:
    """Return the prefixes of a tag."""
    entry = tags.find(name)
    assert entry is not None
    return entry.prefixes


def named_in(text: str, before: str) -> set[str]:
    """Return the addresses that a text names and that were not there."""
    return set(_ADDRESS.findall(text)) - set(_ADDRESS.findall(before))


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_what_a_repair_says_closes_the_gap(kind: str) -> None:
    """The Bicep is deployed on what is there: read again, the firewall lets everybody in."""
    here = estate(kind)
    [gap] = await here.find_issues()

    repair = await here.repair(gap)
    here.deploy(repair.bicep)

    assert (repair.issue, repair.unavailable_reason) == (gap.name, "")
    assert await here.find_issues() == []


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_a_repair_keeps_what_was_let_in(kind: str) -> None:
    """Lists that are written as a whole hold what they held; a flow of today is not kept out."""
    here = estate(kind)
    before = json.dumps(here.resources)

    here.deploy((await here.only_repair()).bicep)

    after = json.dumps(here.resources)
    assert set(_ADDRESS.findall(before)) <= set(_ADDRESS.findall(after))
    assert all(tag in after for tag in LET_IN if tag in before)


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_each_text_of_a_repair_names_what_is_missing_and_no_more(kind: str) -> None:
    """The service tags where a rule takes one, else addresses; the same in each language."""
    here = estate(kind)
    [gap] = await here.find_issues()
    before = json.dumps(here.resources)

    repair = await here.repair(gap)
    texts = (repair.azure_cli, repair.bicep, repair.terraform)

    found = [named_in(text, before) for text in texts]
    assert found[0] == found[1] == found[2]
    assert AddressRanges.of(found[0]) <= AddressRanges.of(gap.missing_prefixes)
    if not found[0]:
        assert all(tag in text for tag in gap.missing_tags for text in texts)
        assert not any(tag in text for tag in LET_IN for text in texts[:1])


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_the_terraform_and_the_commands_of_a_repair_can_be_read(kind: str) -> None:
    """By a parser of HCL, and as a shell splits words; every command says where it works."""
    repair = await estate(kind).only_repair()

    assert hcl2.loads(repair.terraform) or kind == "api_management"  # comments alone
    commands = re.sub(r" \\\n", " ", repair.azure_cli).splitlines()
    words = [shlex.split(one) for one in commands if not one.startswith("#")]
    assert words != []
    for command in words:
        assert command[0] in {"az", "sed"}
        where = {"--resource-group", "--ids", "--url"}
        assert command[0] == "sed" or where & set(command)


#: The commands, as their reference pages list them (learn.microsoft.com/cli/azure), by kind.
COMMANDS = {
    "api_management": "rest",
    "app_service": "webapp config access-restriction add",
    "azure_firewall": "resource update",
    "cosmos_account": "cosmosdb update",
    "event_hubs_namespace": "eventhubs namespace network-rule-set ip-rule add",
    "key_vault": "keyvault network-rule add",
    "network_security_group": "network nsg rule create",
    "postgresql_server": "postgres flexible-server firewall-rule create",
    "service_bus_namespace": "servicebus namespace network-rule-set ip-rule add",
    "sql_server": "sql server firewall-rule create",
    "storage_account": "storage account network-rule add",
}


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_no_text_of_a_repair_declares_what_nobody_uses(kind: str) -> None:
    """A declaration that is not used makes the compiler warn."""
    repair = await estate(kind).only_repair()

    assert not re.search(r"^(var|param|output) ", repair.bicep, re.MULTILINE)
    assert not re.search(r"^(locals|variable|output) ", repair.terraform, re.MULTILINE)


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_the_commands_of_a_case_need_no_extension(kind: str) -> None:
    """Of the Azure CLI: a rule beside others, in a test below, does."""
    repair = await estate(kind).only_repair()

    assert "az extension add" not in repair.azure_cli


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_a_repair_uses_the_command_of_its_kind(kind: str) -> None:
    """Options of the right names are held by the next test for the kinds that the app writes."""
    repair = await estate(kind).only_repair()

    assert f"az {COMMANDS[kind]} \\\n" in repair.azure_cli


async def test_a_rule_of_a_group_is_written_out_in_full() -> None:
    """Each region is a rule for its tag, which stays right when Microsoft changes its addresses."""
    group = security_group(security_rule("flows", 4096, sourceAddressPrefix="LogicApps"))
    [gap, *_] = await (here := Estate({group["id"]: group})).find_issues()

    repair = await here.repair(replace(gap, missing_tags=(WEST,)))

    assert repair.azure_cli == (
        "az network nsg rule create \\\n"
        "  --subscription s \\\n"
        "  --resource-group rg \\\n"
        "  --nsg-name edge \\\n"
        "  --name cmk-PPPlex.WestEurope \\\n"
        "  --priority 4095 \\\n"
        "  --direction Inbound \\\n"
        "  --access Allow \\\n"
        "  --protocol Tcp \\\n"
        "  --source-address-prefixes PowerPlatformPlex.WestEurope \\\n"
        "  --source-port-ranges '*' \\\n"
        "  --destination-port-ranges 443 \\\n"
        "  --destination-address-prefixes '*'"
    )


async def test_a_rule_comes_before_those_that_refuse() -> None:
    """Rules that refuse other addresses stay where they are."""
    group = security_group(
        security_rule("others", 101, access="Deny", sourceAddressPrefix="198.51.100.0/24"),
        security_rule("flows", 110, sourceAddressPrefix="LogicApps"),
        security_rule("nobody", 120, access="Deny"),
    )
    here = Estate({group["id"]: group})

    repair = await here.only_repair()
    here.deploy(repair.bicep)

    assert "--priority 119" in repair.azure_cli
    assert "--priority 118" in repair.azure_cli
    assert await here.find_issues() == []


async def test_a_group_without_a_free_priority_is_refused() -> None:
    """Nothing fits between the first number and the rule that refuses."""
    refusing = security_rule("nobody", 101, access="Deny")
    first = security_rule("flows", 100, sourceAddressPrefix="LogicApps")
    group = security_group(first, refusing)

    repair = await Estate({group["id"]: group}).only_repair()

    assert repair.unavailable_reason == "priority_taken: no priority below 101 is free"
    assert (repair.azure_cli, repair.bicep, repair.added_entries) == ("", "", None)


async def test_a_rule_of_the_same_name_is_nobodys_to_replace() -> None:
    """Somebody made it, or moved the one that was made, and had a reason."""
    group = security_group(
        security_rule("flows", 100, sourceAddressPrefix="LogicApps"),
        security_rule("CMK-PPPlex.WestEurope", 200, access="Deny"),
    )

    repair = await Estate({group["id"]: group}).only_repair()

    assert (
        repair.unavailable_reason
        == "name_taken: edge has a different rule named cmk-PPPlex.WestEurope"
    )


async def test_a_rule_leads_to_what_the_gap_is_about() -> None:
    """To one machine, or to an application security group: its neighbours stay as they are."""
    asg = (
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/applicationSecurityGroups/a"
    )
    narrow = security_rule(
        "flows", 100, sourceAddressPrefix="LogicApps", destinationAddressPrefix="10.0.1.0/24"
    )
    members = security_rule("members", 101, sourceAddressPrefix="LogicApps")
    members["properties"].pop("destinationAddressPrefix")
    members["properties"]["destinationApplicationSecurityGroups"] = [{"id": asg}]
    group = security_group(narrow, members)
    here = Estate({group["id"]: group})

    for gap in await here.find_issues():
        here.deploy((await here.repair(gap)).bicep)

    assert await here.find_issues() == []
    leads = [
        one["properties"].get("destinationAddressPrefix")
        for one in here.resources[group["id"].lower()]["properties"]["securityRules"]
    ]
    assert "*" not in leads


async def test_the_scm_site_has_restrictions_of_its_own_or_those_of_the_site() -> None:
    """What follows the site is opened with it."""
    app = site()
    for follows in (True, False):
        config = web_config(
            restriction("LogicApps", 100, tag="ServiceTag"),
            scmIpSecurityRestrictions=[restriction("LogicApps", 100, tag="ServiceTag")],
            scmIpSecurityRestrictionsUseMain=follows,
        )
        here = Estate(
            {app["id"]: app, f"{app['id']}/config/web": config},
            [f"{app['name']}.scm.azurewebsites.net"],
        )

        repair = await here.only_repair()
        here.deploy(repair.bicep)

        assert ("--scm-site true" in repair.azure_cli) is not follows
        assert await here.find_issues() == []


async def test_a_function_app_has_commands_and_resources_of_its_own() -> None:
    """The Azure CLI and Terraform tell web apps from function apps, Terraform systems too."""
    app = site() | {"kind": "functionapp,linux"}
    config = web_config(restriction("LogicApps", 100, tag="ServiceTag"))

    repair = await Estate({app["id"]: app, f"{app['id']}/config/web": config}).only_repair()

    assert repair.azure_cli.startswith("az functionapp config access-restriction add")
    assert 'resource "azurerm_linux_function_app" "orders_api" {' in repair.terraform


@pytest.mark.parametrize(
    ("build", "there", "most"),
    [
        (
            lambda n: [
                key_vault.vault([{"value": f"198.51.{i // 256}.{i % 256}"} for i in range(n)])
            ],
            999,
            1000,
        ),
        (
            lambda n: [
                sql_server.server(),
                *(sql_server.rule(f"r{i}", f"198.51.100.{i}", f"198.51.100.{i}") for i in range(n)),
            ],
            255,
            256,
        ),
    ],
)
async def test_a_full_list_is_refused(build: Any, there: int, most: int) -> None:
    """With how many there are, how many there may be, and how many would be added."""
    repair = await Estate({one["id"]: one for one in build(there)}).only_repair()

    assert re.match(
        rf"full: \S+ has {there} of at most {most} rules, so \d+ more do not fit",
        repair.unavailable_reason,
    )


async def test_a_service_whose_public_access_is_off_is_opened_by_no_rule() -> None:
    """A list that nobody reads is no repair."""
    vault = key_vault.vault(publicNetworkAccess="Disabled")

    repair = await Estate({vault["id"]: vault}).only_repair()

    assert repair.unavailable_reason.startswith("closed: public access to kv-orders is off")


def behind_firewall(*more: Json, rules: Sequence[Json] | None = None) -> Estate:
    """Return a firewall with a policy, and an IP group `flows` unless rules are given."""
    members = azure_firewall.ip_group("flows", "13.69.71.0/25")
    leading = azure_firewall.nat_rule("orders", sourceIpGroups=[members["id"]])
    nat = azure_firewall.collection("published", 100, *(rules or [leading]), action="Dnat")
    listed = [
        azure_firewall.firewall(),
        azure_firewall.policy(),
        azure_firewall.group("edge-policy", "inbound", 200, nat),
        azure_firewall.public_address(),
        members,
        *more,
    ]
    return Estate({one["id"]: one for one in listed})


async def test_an_ip_group_that_other_rules_use_is_not_widened() -> None:
    """What is put into it would be let in, or kept out, by those too: a group of its own is not."""
    used = azure_firewall.network_rule(
        "admins", sourceIpGroups=[azure_firewall.ip_group("flows")["id"]]
    )
    other = azure_firewall.group(
        "edge-policy", "inside", 300, azure_firewall.collection("inside", 100, used)
    )
    here = behind_firewall(other)
    gap = next(one for one in await here.find_issues() if one.part == azure_firewall.ADDRESS)

    repair = await here.repair(gap)

    assert "\naz network ip-group create" in repair.azure_cli
    assert "--name cmk-orders \\\n  --rule-type NatRule" in repair.azure_cli
    assert "--translated-address 10.0.1.4" in repair.azure_cli
    assert repair.added_entries is None


async def test_an_ip_group_of_another_firewall_too_is_not_widened() -> None:
    """Azure tells of firewalls and policies that no reader of the app sees."""
    here = behind_firewall()
    [group] = [one for one in here.resources.values() if one["type"].endswith("/ipGroups")]
    group["properties"]["firewallPolicies"] = [{"id": "/subscriptions/t/…/firewallPolicies/other"}]

    repair = await here.only_repair()

    assert "\naz network ip-group create" in repair.azure_cli


async def test_a_rule_by_addresses_gets_a_rule_with_an_ip_group_beside_it() -> None:
    """The rule that leads there is somebody's: it is left as it is."""
    here = behind_firewall(rules=[azure_firewall.nat_rule("orders", "13.69.71.0/25")])

    repair = await here.only_repair()

    assert "beside orders" in repair.summary
    assert "--name ip-group; az extension add --name azure-firewall\n" in repair.azure_cli
    named = re.findall(r"az extension add --name ([\w-]+)", repair.azure_cli)
    assert named == ["ip-group", "azure-firewall"]
    assert "--collection-name published" in repair.azure_cli
    assert "--policy-name edge-policy" in repair.azure_cli
    assert "--rule-collection-group-name inbound" in repair.azure_cli
    made, group = declared(repair.bicep)
    assert AddressRanges.of(made.properties["ipAddresses"]) == AddressRanges.of(
        one for tag in (WEST, NORTH) for one in found(TAGS, tag) if ":" not in one
    )
    [collection] = group.properties["ruleCollections"]
    [rule] = collection["rules"]
    assert (group.names, collection["name"]) == (("edge-policy", "inbound"), "published")
    assert (rule["translatedPort"], rule["sourceIpGroups"]) == ("8443", ["cmk_edge.id"])
    hcl2.loads(repair.terraform)


async def test_a_place_that_a_rule_refuses_first_is_opened_by_no_group() -> None:
    """Of network rules the first decides: addresses behind it would change nothing."""
    rules = [
        azure_firewall.collection(
            "refused", 100, azure_firewall.network_rule("nobody", "*"), action="Deny"
        ),
        azure_firewall.collection(
            "inside", 200, azure_firewall.network_rule("flows", "13.69.71.0/25")
        ),
    ]
    listed = [
        azure_firewall.firewall(),
        azure_firewall.policy(),
        azure_firewall.group("edge-policy", "inside", 300, *rules),
        azure_firewall.public_address(),
    ]
    here = Estate({one["id"]: one for one in listed}, [None])
    kinds = build_firewall_kinds(fakes_of(here.world).ports.resources)
    [firewall] = [one for one in await kinds["azure_firewall"].read() if "10.0.2.0" in one.id]
    asked = {WEST: AddressRanges.of(found(TAGS, WEST))}
    gap = find_firewall_issue(
        firewall, evaluate_rules(firewall, RuleSources(TAGS, ["PowerPlatformPlex"])), asked
    )
    assert gap is not None

    repair = await here.repair(gap)

    assert (
        repair.unavailable_reason
        == "denied_first: remove the addresses from nobody, which applies first"
    )
